/** Writes calls on a connection, as far as the server's window allows. */
import { FLAG, FRAME, frame, frameHead } from './frames.mjs';
import { encodeHeaders } from './header-blocks.mjs';

const DEFAULT_TABLE_BYTES = 4096;
const DEFAULT_WINDOW = 65535;

/** What Envoy sends with each Check, but with a timeout of 5 s instead of 0.2 s, which a busy machine may exceed. */
const HEADERS = /** @type {const} */ ([
  [':method', 'POST'],
  [':scheme', 'http'],
  [':path', '/envoy.service.auth.v3.Authorization/Check'],
  [':authority', 'approov-ext-authz'],
  ['te', 'trailers'],
  ['grpc-timeout', '5000m'],
  ['content-type', 'application/grpc'],
  ['x-envoy-internal', 'true'],
  ['x-forwarded-for', '10.0.0.7'],
  ['x-envoy-expected-rq-timeout-ms', '5000'],
]);

/** @param {import('node:net').Socket} socket */
export function createCallWriter(socket) {
  let blocks = encodeHeaders(HEADERS, DEFAULT_TABLE_BYTES);
  let nextId = 1;
  let window = DEFAULT_WINDOW;
  /** @type {{ id: number, message: Buffer }[]} */
  const waiting = [];

  /** @param {number} id @param {Buffer} message */
  function writeFrames(id, message) {
    window -= message.length;
    const block = id === 1 ? blocks.first : blocks.next;
    const headers = frame(FRAME.headers, FLAG.endHeaders, id, block);
    const head = frameHead(FRAME.data, FLAG.endStream, id, message.length);
    socket.write(Buffer.concat([headers, head, message]));
  }

  function writeWaiting() {
    for (let next = waiting[0]; next !== undefined && next.message.length <= window; next = waiting[0]) {
      waiting.shift();
      writeFrames(next.id, next.message);
    }
  }

  return {
    /**
     * Writes a call now, or once the window allows it, after those that wait already.
     * @param {Buffer} message
     * @returns {number} its stream
     */
    write(message) {
      const id = nextId;
      nextId += 2;
      waiting.push({ id, message });
      writeWaiting();
      return id;
    },
    /** @param {number} bytes of the server's HPACK table; before the first call */
    limitTable(bytes) {
      if (nextId === 1) blocks = encodeHeaders(HEADERS, Math.min(bytes, DEFAULT_TABLE_BYTES));
    },
    /** @param {number} bytes */
    extendWindow(bytes) {
      window += bytes;
      writeWaiting();
    },
  };
}
