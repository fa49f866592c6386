/** Builds and reads HTTP/2 frames (RFC 9113 §4.1), right and wrong ones. */
import { encodeFields, type Field } from '../../src/hpack/encoder.ts';
import { CLIENT_PREFACE, FLAG, FRAME } from '../../src/http2/frames.ts';

export const PREFACE = CLIENT_PREFACE;
export const EMPTY = Buffer.alloc(0);

export function frame(type: number, flags: number, streamId: number, payload: Uint8Array = EMPTY): Buffer {
  const header = Buffer.alloc(9);
  header.writeUIntBE(payload.length, 0, 3);
  header[3] = type;
  header[4] = flags;
  header.writeUInt32BE(streamId, 5);
  return Buffer.concat([header, payload]);
}

export function uint32(value: number): Buffer {
  const bytes = Buffer.alloc(4);
  bytes.writeUInt32BE(value);
  return bytes;
}

export const CALL_FIELDS: readonly Field[] = [
  [':method', 'POST'],
  [':scheme', 'http'],
  [':path', '/test.Echo/Echo'],
  [':authority', 'localhost'],
  ['content-type', 'application/grpc'],
  ['te', 'trailers'],
];

/** The fields of a call, with other values for some, without those that are `undefined`, and more at the end. */
export function callFields(changes: Readonly<Record<string, string | undefined>> = {}): Field[] {
  const names = CALL_FIELDS.map(([name]) => name);
  const own = CALL_FIELDS.map(([name, value]) => [name, name in changes ? changes[name] : value]);
  const added = Object.entries(changes).filter(([name]) => !names.includes(name));
  return [...own, ...added].filter((field): field is [string, string] => field[1] !== undefined);
}

export function headers(streamId: number, fields: readonly Field[] = CALL_FIELDS, flags = 0): Buffer {
  return frame(FRAME.HEADERS, FLAG.END_HEADERS | flags, streamId, encodeFields(fields));
}

export function data(streamId: number, payload: Uint8Array, flags = 0): Buffer {
  return frame(FRAME.DATA, flags, streamId, payload);
}

/** A gRPC message with its prefix. */
export function message(content: Uint8Array | string, isCompressed = false): Buffer {
  const bytes = Buffer.from(content);
  return Buffer.concat([Buffer.of(isCompressed ? 1 : 0), uint32(bytes.length), bytes]);
}

/** A complete call. */
export function call(
  streamId: number,
  content: Uint8Array | string = '',
  fields: readonly Field[] = CALL_FIELDS,
): Buffer {
  return Buffer.concat([headers(streamId, fields), data(streamId, message(content), FLAG.END_STREAM)]);
}

export function settings(...entries: readonly (readonly [id: number, value: number])[]): Buffer {
  const payload = entries.map(([id, value]) => Buffer.concat([Buffer.of(id >> 8, id), uint32(value)]));
  return frame(FRAME.SETTINGS, 0, 0, Buffer.concat(payload));
}

export const SETTINGS = settings();
export const SETTINGS_ACK = frame(FRAME.SETTINGS, FLAG.ACK, 0);

export function windowUpdate(streamId: number, increment: number): Buffer {
  return frame(FRAME.WINDOW_UPDATE, 0, streamId, uint32(increment));
}

export function rstStream(streamId: number, code = 8): Buffer {
  return frame(FRAME.RST_STREAM, 0, streamId, uint32(code));
}

export function ping(opaque: string, flags = 0): Buffer {
  return frame(FRAME.PING, flags, 0, Buffer.from(opaque));
}

export interface ReceivedFrame {
  readonly type: string;
  readonly flags: number;
  readonly stream: number;
  readonly payload: Buffer;
}

const NAMES = Object.fromEntries(Object.entries(FRAME).map(([name, type]) => [type, name]));

export function parseFrames(bytes: Buffer): ReceivedFrame[] {
  const frames: ReceivedFrame[] = [];
  for (let at = 0; at < bytes.length; ) {
    const end = at + 9 + bytes.readUIntBE(at, 3);
    frames.push({
      type: NAMES[bytes[at + 3] ?? -1] ?? 'unknown',
      flags: bytes[at + 4] ?? 0,
      stream: bytes.readUInt32BE(at + 5),
      payload: bytes.subarray(at + 9, end),
    });
    at = end;
  }
  return frames;
}
