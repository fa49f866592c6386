/** Feeds a connection of unary-grpc any bytes: no exception, whole frames within the client's windows, each call ended once. */
import { encodeFields } from '../../packages/unary-grpc/src/hpack/encoder.ts';
import { Peer } from '../support/peer.mjs';
import {
  block,
  CONTINUATION,
  call,
  DATA,
  EMPTY,
  EXPIRE,
  frame,
  GOAWAY,
  HEADERS,
  HELLO,
  MESSAGE,
  PING,
  PREFACE,
  PRIORITY,
  RAW,
  READ,
  REFUSE,
  RST_STREAM,
  SETTINGS,
  SHUT_DOWN,
  SMALL_WINDOW,
  step,
  TICK,
  windowUpdate,
} from '../support/steps.mjs';

export const covers = ['http2', 'grpc'].map((folder) => `packages/unary-grpc/dist/${folder}/`);

/** @param {Buffer} data steps, see {@link step}; or, if it begins as the client's preface, the bytes of a connection */
export async function fuzz(data) {
  const peer = new Peer();
  if (data[0] === PREFACE[0]) peer.receive(data);
  else peer.play(data);
  await peer.settle();
  peer.end();
}

export const seeds = [
  [HELLO, call(1, '/echo'), call(3, '/fail'), call(5, '/deny', ['x-a', 'b'])],
  [
    SMALL_WINDOW,
    call(1, '/big'),
    windowUpdate(1),
    windowUpdate(0),
    windowUpdate(1),
    Buffer.of(TICK, TICK, TICK, TICK),
  ],
  [HELLO, call(1, '/slow', ['grpc-timeout', '1S']), Buffer.of(READ, EXPIRE, EXPIRE), call(3, '/slow')],
  [
    HELLO,
    call(1, '/slow'),
    Buffer.of(READ),
    step(RST_STREAM, 0, 1, Buffer.alloc(4)),
    Buffer.of(SHUT_DOWN, REFUSE),
    call(3, '/echo'),
  ],
  [
    HELLO,
    step(HEADERS, 0, 1, block('/echo').subarray(0, 9)),
    step(CONTINUATION, 4, 1, block('/echo').subarray(9)),
    step(DATA, 0, 1, MESSAGE.subarray(0, 2)),
    Buffer.of(READ),
    step(DATA, 9, 1, Buffer.from([1, ...MESSAGE.subarray(2), 0])),
  ],
  [
    HELLO,
    step(SETTINGS, 1),
    step(PING, 0, 0, Buffer.alloc(8)),
    step(PRIORITY, 0, 1, Buffer.alloc(5)),
    step(GOAWAY, 0, 0, Buffer.alloc(8)),
  ],
  [
    HELLO,
    call(1, '/none'),
    call(3, '/echo', ['grpc-encoding', 'gzip']),
    call(5, '/echo', ['grpc-timeout', 'x']),
    call(7, '/echo', ['content-length', '8']),
  ],
  [PREFACE, frame(SETTINGS, 0, 0, EMPTY), frame(HEADERS, 4, 1, block('/echo')), frame(DATA, 1, 1, MESSAGE)],
].map((parts) => Buffer.concat(parts));

export const words = [
  ...[
    HELLO,
    SMALL_WINDOW,
    windowUpdate(0),
    windowUpdate(1),
    call(3, '/echo'),
    call(5, '/big'),
    call(7, '/slow'),
  ],
  ...[
    step(RST_STREAM, 0, 3, Buffer.alloc(4)),
    step(RAW, 0, 0, frame(DATA, 8, 1, Buffer.of(1))),
    MESSAGE,
    block('/echo'),
  ],
  ...[
    encodeFields([['te', 'x']]),
    encodeFields([['content-length', '8']]),
    encodeFields([['grpc-timeout', '1m']]),
  ],
  ...[READ, TICK, EXPIRE, SHUT_DOWN, REFUSE].map((kind) => Buffer.of(kind)),
];
