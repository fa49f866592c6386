/** Parses and formats listen addresses: `host:port`, `[v6]:port` and `unix:/path`. */
import { looksLikeSecret } from '../approov/secret.ts';

export type ListenAddress =
  | { readonly kind: 'tcp'; readonly host: string; readonly port: number }
  | { readonly kind: 'unix'; readonly path: string };

/** Returns `undefined` for anything but the three forms. Port 0 means any free port. */
export function parseAddress(text: string): ListenAddress | undefined {
  if (text.startsWith('unix:')) {
    const path = text.slice('unix:'.length);
    return path.startsWith('/') ? { kind: 'unix', path } : undefined;
  }
  const match = /^(?:\[([0-9A-Fa-f:.]+)\]|([A-Za-z0-9._-]+)):(\d{1,5})$/.exec(text);
  const host = match?.[1] ?? match?.[2];
  const port = Number(match?.[3]);
  if (match?.[1] !== undefined && !URL.canParse(`http://[${match[1]}]`)) return undefined;
  return host !== undefined && port <= 65_535 ? { kind: 'tcp', host, port } : undefined;
}

export function formatAddress(address: ListenAddress): string {
  if (address.kind === 'unix') return `unix:${address.path}`;
  return address.host.includes(':') ? `[${address.host}]:${address.port}` : `${address.host}:${address.port}`;
}

/** For messages about an address that cannot be used: hides one that looks like a secret put in the wrong place. */
export function printableAddress(address: ListenAddress): string {
  const text = formatAddress(address);
  return looksLikeSecret(text) ? '[hidden: it looks like a secret]' : text;
}
