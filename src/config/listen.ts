/** Schema of `listen` in the configuration file. */
import * as z from 'zod';
import { type ListenAddress, parseAddress, printableAddress } from './address.ts';

export const filePath = z.string().min(1, 'must not be empty');

export const TLS = z.strictObject({
  certFile: filePath.describe('Certificate chain of the service, in PEM.'),
  keyFile: filePath.describe('Private key of the certificate, in PEM.'),
  clientCaFile: filePath
    .optional()
    .describe(
      'CA certificates in PEM. If set, clients must present a certificate that one of them signed (mTLS).',
    ),
});

const TCP_ADDRESS = '(\\[[0-9A-Fa-f:.]+\\]|[A-Za-z0-9._-]+):[0-9]{1,5}';

export const LISTEN = z
  .strictObject({
    grpc: addressOf(['tcp', 'unix'], 'must be host:port, [v6]:port or unix:/path')
      .prefault('0.0.0.0:9001')
      .meta({
        description:
          'Address of the gRPC listener, for Envoy: `host:port`, `[v6]:port` or `unix:/path`. A change needs a restart.',
        pattern: `^(unix:/.*|${TCP_ADDRESS})$`,
        examples: ['0.0.0.0:9001', '[::]:9001', 'unix:/run/approov/authz.sock'],
      }),
    admin: addressOf(['tcp'], 'must be host:port or [v6]:port')
      .prefault('127.0.0.1:9002')
      .meta({
        description:
          'Address of the admin listener (`/metrics`, `/readyz`): `host:port` or `[v6]:port`, and not that of `listen.grpc`. A change needs a restart.',
        pattern: `^${TCP_ADDRESS}$`,
        examples: ['127.0.0.1:9002', '0.0.0.0:9002'],
      }),
    unixSocketMode: z
      .string('must be a string of octal digits in quotes, such as "0660"')
      .regex(/^0?[0-7]{3}$/, 'must be a string of octal digits in quotes, such as "0660"')
      .default('0660')
      .meta({
        description: 'Permissions of a Unix socket: octal digits, in quotes. A change needs a restart.',
        examples: ['0660'],
      }),
    transport: z
      .enum(['grpc-js', 'lean'])
      .default('grpc-js')
      .describe(
        'What serves the gRPC listener: `grpc-js`, or `lean`, which takes far less CPU per check but has neither reflection nor health `Watch`. A change needs a restart.',
      ),
    tls: TLS.optional().meta({
      description:
        'TLS for the gRPC listener. The files are reloaded when they change; switching TLS or client certificates on or off needs a restart.',
      examples: [{ certFile: '/etc/tls/tls.crt', keyFile: '/etc/tls/tls.key' }],
    }),
  })
  .superRefine(({ grpc, admin }, context) => {
    if (!isSameAddress(grpc, admin)) return;
    const message = `${printableAddress(admin)} overlaps listen.grpc (${printableAddress(grpc)}); give each a port of its own`;
    context.addIssue({ code: 'custom', path: ['admin'], message });
  });

/** Whether the second cannot be bound after the first; a wildcard address includes the others of its family. */
function isSameAddress(one: ListenAddress, other: ListenAddress): boolean {
  if (one.kind !== 'tcp' || other.kind !== 'tcp' || one.port !== other.port || one.port === 0) return false;
  const hosts = [one.host, other.host];
  return (
    one.host === other.host ||
    hosts.includes('::') ||
    (hosts.includes('0.0.0.0') && !hosts.some((host) => host.includes(':')))
  );
}

const MAX_PORT = 65_535;

export type ListenSettings = z.infer<typeof LISTEN>;
export type TlsSettings = z.infer<typeof TLS>;

function addressOf(kinds: readonly ListenAddress['kind'][], message: string) {
  // The admin pages are for the same machine, unless somebody decides otherwise.
  const host = kinds.includes('unix') ? '0.0.0.0' : '127.0.0.1';
  const messageFor = (value: string): string => {
    if (/^:?\d{1,5}$/.test(value)) return withExample(value.replace(':', ''));
    const isPortTooLarge = Number(/:(\d+)$/.exec(value)?.[1]) > MAX_PORT;
    return isPortTooLarge ? `${message}; a port is at most ${MAX_PORT}` : message;
  };
  const withExample = (port: number | string): string => `${message}; for example ${host}:${port}`;
  const error = ({ input }: { readonly input?: unknown }): string | undefined =>
    typeof input === 'number' ? `${input} ${withExample(input)}` : undefined;
  return z.string({ error }).transform((value, context): ListenAddress => {
    const address = parseAddress(value);
    if (address !== undefined && kinds.includes(address.kind)) return address;
    context.addIssue({ code: 'custom', message: messageFor(value) });
    return z.NEVER;
  });
}
