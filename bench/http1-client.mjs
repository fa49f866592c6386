/** An HTTP/1.1 client with one request at a time on a kept-alive plain socket, for requests through Envoy. */
import { once } from 'node:events';
import { connect } from 'node:net';

/**
 * @typedef {object} HttpClient
 * @property {(request: Buffer, onStatus: (status: number) => void) => void} send status 0: the connection closed
 * @property {() => void} close
 */

/**
 * @param {number} port on loopback
 * @returns {Promise<HttpClient>}
 */
export async function connectHttp(port) {
  const socket = connect({ port, host: '127.0.0.1', noDelay: true });
  await once(socket, 'connect');
  /** @type {(status: number) => void} */
  let onStatus = () => undefined;
  /** @type {Buffer} */
  let received = Buffer.alloc(0);
  socket.on('data', (chunk) => {
    received = received.length === 0 ? chunk : Buffer.concat([received, chunk]);
    const answer = readResponse(received);
    if (answer === undefined) return;
    received = Buffer.alloc(0);
    onStatus(answer);
  });
  socket.on('error', () => undefined);
  socket.once('close', () => onStatus(0));
  return {
    send(request, onAnswer) {
      if (socket.destroyed) return onAnswer(0);
      onStatus = onAnswer;
      socket.write(request);
    },
    close() {
      onStatus = () => undefined;
      socket.destroy();
    },
  };
}

/**
 * The status of a response that is complete. Envoy's own responses all have a `content-length`.
 * @param {Buffer} bytes
 * @returns {number | undefined}
 */
export function readResponse(bytes) {
  const end = bytes.indexOf('\r\n\r\n');
  if (end < 0) return undefined;
  const head = bytes.toString('latin1', 0, end);
  const length = Number(/\r\ncontent-length: (\d+)/i.exec(head)?.[1] ?? 0);
  return bytes.length < end + 4 + length ? undefined : Number(head.slice(9, 12));
}
