/** Builds HTTP/2 frames (RFC 9113 §4.1), and the steps by which the target `connection` sends them. */
import { encodeFields } from '../../packages/unary-grpc/src/hpack/encoder.ts';

export const PREFACE = Buffer.from('PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n');

export const DATA = 0;
export const HEADERS = 1;
export const PRIORITY = 2;
export const RST_STREAM = 3;
export const SETTINGS = 4;
export const PING = 6;
export const GOAWAY = 7;
export const WINDOW_UPDATE = 8;
export const CONTINUATION = 9;

export const INITIAL_WINDOW_SIZE = 4;
export const MAX_FRAME_SIZE = 5;

/** Steps that are not frames: what has arrived is read, time passes, the server shuts down. */
export const READ = 16;
export const TICK = 17;
export const EXPIRE = 18;
export const SHUT_DOWN = 19;
export const REFUSE = 20;
/** Raw bytes in place of a frame. */
export const RAW = 21;
export const STEPS = 22;

export const EMPTY = Buffer.alloc(0);

/** @param {number} type @param {number} flags @param {number} stream @param {Uint8Array} payload */
export function frame(type, flags, stream, payload) {
  const header = Buffer.alloc(9);
  header.writeUIntBE(payload.length, 0, 3);
  header[3] = type;
  header[4] = flags;
  header.writeUInt32BE(stream, 5);
  return Buffer.concat([header, payload]);
}

/** As `frame`, in the form of a step. @param {number} type @param {number} flags @param {number} stream @param {Uint8Array} payload */
export const step = (type, flags = 0, stream = 0, payload = EMPTY) =>
  Buffer.concat([Buffer.of(type, flags, stream, payload.length), payload]);

/** @param {string} path @param {[string, string][]} more */
export const block = (path, ...more) =>
  encodeFields([
    [':method', 'POST'],
    [':scheme', 'http'],
    [':path', path],
    [':authority', 'a'],
    ['content-type', 'application/grpc'],
    ['te', 'trailers'],
    ...more,
  ]);
export const MESSAGE = Buffer.from([0, 0, 0, 0, 3, 1, 2, 3]);
/** @param {number} stream @param {string} path @param {[string, string][]} more */
export const call = (stream, path, ...more) =>
  Buffer.concat([step(HEADERS, 4, stream, block(path, ...more)), step(DATA, 1, stream, MESSAGE)]);

export const HELLO = step(SETTINGS);
export const SMALL_WINDOW = step(SETTINGS, 0, 0, Buffer.from([0, INITIAL_WINDOW_SIZE, 0, 0, 0, 9]));
/** @param {number} stream */
export const windowUpdate = (stream) => step(WINDOW_UPDATE, 0, stream, Buffer.from([0, 1, 0, 0]));
