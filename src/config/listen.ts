/** Schema of `listen` in the configuration file. */
import * as z from 'zod';
import { type ListenAddress, parseAddress } from './address.ts';

export const filePath = z.string().min(1, 'must not be empty');

export const TLS = z.strictObject({
  certFile: filePath,
  keyFile: filePath,
  clientCaFile: filePath.optional(),
});

export const LISTEN = z
  .strictObject({
    grpc: addressOf(['tcp', 'unix'], 'must be host:port, [v6]:port or unix:/path').prefault('0.0.0.0:9001'),
    admin: addressOf(['tcp'], 'must be host:port or [v6]:port').prefault('127.0.0.1:9002'),
    unixSocketMode: z
      .string('must be a text of octal digits in quotes, such as "0660"')
      .regex(/^0?[0-7]{3}$/, 'must be a text of octal digits in quotes, such as "0660"')
      .default('0660'),
    tls: TLS.optional(),
  })
  .refine(({ grpc, admin }) => !isSameAddress(grpc, admin), {
    path: ['admin'],
    error: 'must not be the address of listen.grpc',
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

export type ListenSettings = z.infer<typeof LISTEN>;
export type TlsSettings = z.infer<typeof TLS>;

function addressOf(kinds: readonly ListenAddress['kind'][], message: string) {
  return z.string().transform((value, context): ListenAddress => {
    const address = parseAddress(value);
    if (address !== undefined && kinds.includes(address.kind)) return address;
    context.addIssue({ code: 'custom', message });
    return z.NEVER;
  });
}
