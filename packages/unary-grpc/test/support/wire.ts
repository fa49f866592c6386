/** Builds the frames and header blocks of a client, valid or not. */
import { FLAG, FRAME, frame, literal } from '../../../../test/support/raw-http2.ts';

/** RFC 9113 §6.1, §6.2. */
export const PADDED = 8;
export const PRIORITY_FIELDS = 0x20;

export const ECHO_PATH = '/test.Echo/Echo';

export type Field = readonly [name: string, value: string];

export const REQUEST_FIELDS: readonly Field[] = [
  [':method', 'POST'],
  [':scheme', 'http'],
  [':path', ECHO_PATH],
  [':authority', 'echo'],
  ['content-type', 'application/grpc'],
  ['te', 'trailers'],
];

/** Literals without indexing (RFC 7541 §6.2.2). */
export function block(fields: readonly Field[]): Buffer {
  return Buffer.concat(fields.flatMap(([name, value]) => [Buffer.of(0), literal(name), literal(value)]));
}

/** The fields of a request with some replaced, removed (`undefined`) or added at the end. */
export function requestFields(changes: Readonly<Record<string, string | undefined>> = {}): Field[] {
  const kept = REQUEST_FIELDS.filter(([name]) => !(name in changes) || changes[name] !== undefined);
  const replaced = kept.map(([name, value]): Field => [name, changes[name] ?? value]);
  const added = Object.entries(changes).filter(([name]) => !REQUEST_FIELDS.some(([known]) => known === name));
  return [
    ...replaced,
    ...added.flatMap(([name, value]): Field[] => (value === undefined ? [] : [[name, value]])),
  ];
}

export const REQUEST_BLOCK = block(REQUEST_FIELDS);

/** A gRPC message with its prefix. */
export function message(text: string | Buffer, compressed = 0): Buffer {
  const bytes = Buffer.from(text);
  const prefix = Buffer.alloc(5);
  prefix[0] = compressed;
  prefix.writeUInt32BE(bytes.length, 1);
  return Buffer.concat([prefix, bytes]);
}

export function headers(stream: number, fields: Buffer = REQUEST_BLOCK, flags = 0): Buffer {
  return frame(FRAME.headers, FLAG.endHeaders | flags, stream, fields);
}

/** The last frame of a request unless `flags` says otherwise. */
export function data(stream: number, payload: Buffer, flags: number = FLAG.endStream): Buffer {
  return frame(FRAME.data, flags, stream, payload);
}

/** A whole call of the echo method. */
export function call(stream: number, text: string, fields: Buffer = REQUEST_BLOCK): Buffer {
  return Buffer.concat([headers(stream, fields), data(stream, message(text))]);
}

/** A call whose request has these fields instead. */
export function callWith(changes: Readonly<Record<string, string | undefined>>, stream = 1): Buffer {
  return call(stream, 'hello', block(requestFields(changes)));
}

export function uint32(value: number): Buffer {
  const bytes = Buffer.alloc(4);
  bytes.writeUInt32BE(value);
  return bytes;
}

/** SETTINGS with these entries (RFC 9113 §6.5.1). */
export function settings(...entries: readonly (readonly [id: number, value: number])[]): Buffer {
  const payload = entries.map(([id, value]) => Buffer.concat([Buffer.of(id >> 8, id & 0xff), uint32(value)]));
  return frame(FRAME.settings, 0, 0, Buffer.concat(payload));
}

export const SETTINGS_ACK = frame(FRAME.settings, FLAG.ack, 0);

export function windowUpdate(stream: number, increment: number): Buffer {
  return frame(FRAME.windowUpdate, 0, stream, uint32(increment));
}

export function rstStream(stream: number, code: number): Buffer {
  return frame(FRAME.rstStream, 0, stream, uint32(code));
}

export function ping(text: string, flags = 0): Buffer {
  return frame(FRAME.ping, flags, 0, Buffer.from(text.padEnd(8)));
}

export function goAway(lastStream: number, code = 0): Buffer {
  return frame(FRAME.goaway, 0, 0, Buffer.concat([uint32(lastStream), uint32(code)]));
}

/** A payload with its pad length before it and the padding after it. */
export function padded(payload: Buffer, padding: number): Buffer {
  return Buffer.concat([Buffer.of(padding), payload, Buffer.alloc(padding)]);
}

export const join = (...parts: readonly Buffer[]): Buffer => Buffer.concat(parts);
