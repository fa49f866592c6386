/** Recognizes clients on this machine, which alone may read or change what others may not. */
import type { IncomingMessage } from 'node:http';
import { type Page, textPage } from './page.ts';

const LOOPBACK_ADDRESS = /^(127\.0\.0\.1|::ffff:127\.0\.0\.1|::1)$/i;
/** Under DNS rebinding, a web page sends the name of its own site, which it made resolve to loopback. */
const LOOPBACK_HOST = /^(localhost|127\.0\.0\.1|\[::1\])(:\d+)?$/i;
/** What proxies add (RFC 9110 §7.6.3, RFC 7239, Envoy): the client of one on this machine may be remote. */
const PROXY_HEADER = /^(via|forwarded|x-forwarded-.*|x-envoy-.*|x-real-ip|x-request-id)$/;

/** Whether the client is on this machine and not behind a proxy on it. */
export function isLocal({ socket, headersDistinct }: IncomingMessage): boolean {
  const [host = '', ...otherHosts] = headersDistinct['host'] ?? [];
  return (
    LOOPBACK_ADDRESS.test(socket.remoteAddress ?? '') &&
    LOOPBACK_HOST.test(host) &&
    otherHosts.length === 0 &&
    !Object.keys(headersDistinct).some((name) => PROXY_HEADER.test(name))
  );
}

export function refuseRemote(): Page {
  return textPage(
    403,
    'only for clients on this machine: a loopback address and Host, and no header of a proxy (Via, Forwarded, X-Forwarded-*, X-Envoy-*)',
  );
}
