/** The floor of the benchmark: a plain socket with just enough HTTP/2 to give every Check the answer in ANSWER. */
import { createServer } from 'node:net';
import { FLAG, FRAME, frame, PREFACE, windowUpdate } from '../http2/frames.mjs';

const FRAME_HEADER_BYTES = 9;
const WINDOW_BYTES = 2 ** 30;

/** A literal field without indexing (RFC 7541 §6.2.2). @param {string} name @param {string} value */
function field(name, value) {
  return Buffer.from([0, name.length, ...Buffer.from(name), value.length, ...Buffer.from(value)]);
}

const NOTHING = Buffer.alloc(0);
/** `:status` 200 in the static table. */
const STATUS_200 = 0x88;
/** A CheckResponse. */
const RESPONSE = Buffer.from(process.env['ANSWER'] ?? '', 'base64');
const MESSAGE_PREFIX = Buffer.alloc(5);
MESSAGE_PREFIX.writeUInt32BE(RESPONSE.length, 1);
const ANSWER_FRAMES = [
  frame(
    FRAME.headers,
    FLAG.endHeaders,
    0,
    Buffer.of(STATUS_200, ...field('content-type', 'application/grpc')),
  ),
  frame(FRAME.data, 0, 0, Buffer.concat([MESSAGE_PREFIX, RESPONSE])),
  frame(FRAME.headers, FLAG.endHeaders | FLAG.endStream, 0, field('grpc-status', '0')),
];
const ANSWER = Buffer.concat(ANSWER_FRAMES);

/** Writes the answer to a stream. @param {Buffer} output @param {number} at @param {number} streamId */
function writeAnswer(output, at, streamId) {
  ANSWER.copy(output, at);
  let start = at;
  for (const { length } of ANSWER_FRAMES) {
    output.writeUInt32BE(streamId, start + 5);
    start += length;
  }
}

const server = createServer({ noDelay: true }, (socket) => {
  let rest = NOTHING;
  let isPrefaceRead = false;
  let unreturnedBytes = 0;

  socket.write(Buffer.concat([frame(FRAME.settings, 0, 0, NOTHING), windowUpdate(0, WINDOW_BYTES)]));
  socket.on('error', () => undefined);
  socket.on('data', (bytes) => {
    const input = rest.length === 0 ? bytes : Buffer.concat([rest, bytes]);
    /** @type {number[]} */
    const answered = [];
    let at = isPrefaceRead ? 0 : PREFACE.length;
    isPrefaceRead = true;
    while (input.length >= at + FRAME_HEADER_BYTES) {
      const end = at + FRAME_HEADER_BYTES + input.readUIntBE(at, 3);
      if (input.length < end) break;
      const type = input[at + 3];
      const flags = Number(input[at + 4]);
      if (type === FRAME.data) {
        unreturnedBytes += end - at - FRAME_HEADER_BYTES;
        if (flags & FLAG.endStream) answered.push(input.readUInt32BE(at + 5));
      } else if (!(flags & FLAG.ack)) {
        if (type === FRAME.settings) socket.write(frame(FRAME.settings, FLAG.ack, 0, NOTHING));
        if (type === FRAME.ping)
          socket.write(frame(FRAME.ping, FLAG.ack, 0, input.subarray(at + FRAME_HEADER_BYTES, end)));
      }
      at = end;
    }
    rest = input.subarray(at);
    if (answered.length > 0) {
      const output = Buffer.allocUnsafe(answered.length * ANSWER.length);
      for (const [index, streamId] of answered.entries())
        writeAnswer(output, index * ANSWER.length, streamId);
      socket.write(output);
    }
    if (unreturnedBytes > WINDOW_BYTES / 2) {
      socket.write(windowUpdate(0, unreturnedBytes));
      unreturnedBytes = 0;
    }
  });
});
server.listen(0, '127.0.0.1', () => {
  const { port } = /** @type {import('node:net').AddressInfo} */ (server.address());
  process.stdout.write(`${JSON.stringify({ grpc: `127.0.0.1:${port}`, msg: 'serving' })}\n`);
});
