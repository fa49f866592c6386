/** Shows what a person wants to know of a running service, from its admin pages. */
import { type ListenAddress, parseAddress, printableAddress } from '../config/address.ts';
import { escapeAll } from '../telemetry/printable.ts';
import { type Command, EXIT } from './command.ts';
import {
  ADMIN_TIMEOUT_SECONDS,
  connectGrpcTls,
  describeAdminError,
  dialAddress,
  getPage,
  notOurs,
  readListen,
} from './running-service.ts';
import { type AdminPages, collectStatus, type Status } from './status/facts.ts';
import { layOutStatus } from './status/layout.ts';
import { paintFor } from './terminal.ts';

export const status: Command = {
  help: [
    'asks the admin address of the configuration (listen.admin or APPROOV_ADMIN_LISTEN)',
    '--json   print JSON',
  ],
  options: { json: { type: 'boolean' } },
  async run(options, io) {
    const listen = await readListen(options, io);
    const admin = dialAddress(listen.admin);
    const asked = await askPages(admin);
    const collected = asked.kind === 'answered' ? collectStatus(asked.pages, io.nowSeconds()) : undefined;
    if (collected === undefined) {
      io.err(asked.kind === 'failed' ? asked.problem : notOurs(admin));
      return EXIT.failure;
    }
    // Escaped before it is painted, as colours are control characters too.
    const found = escapeAll(await withCertificate(collected)) as Status;
    const address = printableAddress(admin);
    const lines = options.flag('json')
      ? [JSON.stringify({ admin: address, ...found }, null, 2)]
      : layOutStatus(found, { admin: address, nowSeconds: io.nowSeconds(), paint: paintFor(io) });
    io.out(lines.join('\n'));
    return EXIT.ok;
  },
};

type Asked =
  | { readonly kind: 'answered'; readonly pages: AdminPages }
  | { readonly kind: 'failed'; readonly problem: string };

async function askPages(admin: ListenAddress): Promise<Asked> {
  const signal = AbortSignal.timeout(ADMIN_TIMEOUT_SECONDS * 1000);
  const ask = async (path: string): Promise<string> => (await getPage(admin, path, signal)).body;
  try {
    const [metrics, readyz, config, overrides] = await Promise.all([
      ask('/metrics'),
      ask('/readyz'),
      ask('/config'),
      ask('/override'),
    ]);
    return { kind: 'answered', pages: { metrics, readyz, config, overrides } };
  } catch (error) {
    return { kind: 'failed', problem: describeAdminError(error as NodeJS.ErrnoException, admin) };
  }
}

/** The service shows its listener only to clients on its own machine, so the listener can be reached from here. */
async function withCertificate(found: Status): Promise<Status> {
  const { listener } = found;
  const address = listener?.tls === true ? parseAddress(listener.grpc) : undefined;
  if (listener === null || address === undefined) return found;
  const certificate_expires_at = await certificateExpiry(dialAddress(address));
  return { ...found, listener: { ...listener, certificate_expires_at } };
}

/** `null` if the handshake fails before the certificate is there. */
function certificateExpiry(grpc: ListenAddress): Promise<string | null> {
  return new Promise((resolve) => {
    const end = (expiry: string | null): void => {
      socket.destroy();
      resolve(expiry);
    };
    const socket = connectGrpcTls(grpc);
    socket.setTimeout(ADMIN_TIMEOUT_SECONDS * 1000, () => end(null));
    socket.once('error', () => end(null));
    socket.once('close', () => end(null));
    socket.once('secureConnect', () => {
      const expiry = new Date(socket.getPeerX509Certificate()?.validTo ?? '');
      end(Number.isNaN(expiry.getTime()) ? null : expiry.toISOString());
    });
  });
}
