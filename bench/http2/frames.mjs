/** HTTP/2 frames: as much of RFC 9113 as a client of unary calls needs. */

export const FRAME = { data: 0, headers: 1, rstStream: 3, settings: 4, ping: 6, goaway: 7, windowUpdate: 8 };
export const FLAG = { ack: 1, endStream: 1, endHeaders: 4, padded: 8 };
export const PREFACE = Buffer.from('PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n');
const HEAD_BYTES = 9;

/**
 * @param {number} type
 * @param {number} flags
 * @param {number} streamId
 * @param {number} length of the payload
 */
export function frameHead(type, flags, streamId, length) {
  const head = Buffer.alloc(HEAD_BYTES);
  head.writeUIntBE(length, 0, 3);
  head[3] = type;
  head[4] = flags;
  head.writeUInt32BE(streamId, 5);
  return head;
}

/**
 * @param {number} type
 * @param {number} flags
 * @param {number} streamId
 * @param {Buffer} payload
 */
export function frame(type, flags, streamId, payload) {
  return Buffer.concat([frameHead(type, flags, streamId, payload.length), payload]);
}

/**
 * @param {number} streamId 0 for the connection
 * @param {number} bytes
 */
export function windowUpdate(streamId, bytes) {
  const payload = Buffer.alloc(4);
  payload.writeUInt32BE(bytes);
  return frame(FRAME.windowUpdate, 0, streamId, payload);
}

/**
 * Reads frames from the chunks of a stream.
 * @param {(type: number, flags: number, streamId: number, payload: Buffer) => void} onFrame
 * @returns {(chunk: Buffer) => void}
 */
export function createFrameReader(onFrame) {
  /** @type {Buffer} */
  let rest = Buffer.alloc(0);
  return (chunk) => {
    const bytes = rest.length === 0 ? chunk : Buffer.concat([rest, chunk]);
    let at = 0;
    while (bytes.length - at >= HEAD_BYTES) {
      const end = at + HEAD_BYTES + bytes.readUIntBE(at, 3);
      if (end > bytes.length) break;
      const payload = bytes.subarray(at + HEAD_BYTES, end);
      onFrame(bytes.readUInt8(at + 3), bytes.readUInt8(at + 4), bytes.readUInt32BE(at + 5), payload);
      at = end;
    }
    rest = bytes.subarray(at);
  };
}
