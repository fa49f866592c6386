/** Frames: their layout, types and flags, and what each type requires of its header (RFC 9113 §4, §6). */
import { MAX_FRAME_BYTES } from '../limits.ts';
import { connectionError, type Http2Error, streamError } from './error.ts';

export const FRAME = {
  DATA: 0x0,
  HEADERS: 0x1,
  PRIORITY: 0x2,
  RST_STREAM: 0x3,
  SETTINGS: 0x4,
  PUSH_PROMISE: 0x5,
  PING: 0x6,
  GOAWAY: 0x7,
  WINDOW_UPDATE: 0x8,
  CONTINUATION: 0x9,
} as const;

export const FLAG = {
  /** SETTINGS, PING. */
  ACK: 0x1,
  /** DATA, HEADERS. */
  END_STREAM: 0x1,
  /** HEADERS, CONTINUATION. */
  END_HEADERS: 0x4,
  /** DATA, HEADERS. */
  PADDED: 0x8,
  /** HEADERS. */
  PRIORITY: 0x20,
} as const;

/** §4.1: length, type, flags, stream id. */
export const FRAME_HEADER_BYTES = 9;

/** §3.4. */
export const CLIENT_PREFACE = Buffer.from('PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n', 'latin1');

export function readUint32(bytes: Buffer, at: number): number {
  return (readUint31(bytes, at) | ((bytes[at] as number) & 0x80 ? 0x8000_0000 : 0)) >>> 0;
}

/** Ignores the reserved bit, as stream ids, window increments and the last stream id of GOAWAY require. */
export function readUint31(bytes: Buffer, at: number): number {
  return (
    (((bytes[at] as number) & 0x7f) << 24) |
    ((bytes[at + 1] as number) << 16) |
    ((bytes[at + 2] as number) << 8) |
    (bytes[at + 3] as number)
  );
}

/** The length of the payload, which does not include the header. */
export function readPayloadLength(bytes: Buffer, at: number): number {
  return ((bytes[at] as number) << 16) | ((bytes[at + 1] as number) << 8) | (bytes[at + 2] as number);
}

/** What the header of a frame must satisfy, whatever the state of its stream. */
interface FrameRule {
  readonly name: string;
  /** Whether the frame is about a stream, about the connection (stream 0), or either. */
  readonly on: 'stream' | 'connection' | 'either';
  readonly minBytes: number;
  readonly maxBytes: number;
  /** Of what a wrong length is an error (§4.2). */
  readonly lengthScope: Http2Error['scope'];
}

/** By type. What has no row is unknown, and ignored (§5.5). */
const RULES: readonly FrameRule[] = [
  rule('DATA', 'stream', 0, MAX_FRAME_BYTES),
  rule('HEADERS', 'stream', 0, MAX_FRAME_BYTES),
  rule('PRIORITY', 'stream', 5, 5, 'stream'),
  rule('RST_STREAM', 'stream', 4, 4),
  rule('SETTINGS', 'connection', 0, MAX_FRAME_BYTES),
  rule('PUSH_PROMISE', 'stream', 0, MAX_FRAME_BYTES),
  rule('PING', 'connection', 8, 8),
  rule('GOAWAY', 'connection', 8, MAX_FRAME_BYTES),
  rule('WINDOW_UPDATE', 'either', 4, 4),
  rule('CONTINUATION', 'stream', 0, MAX_FRAME_BYTES),
];

function rule(
  name: string,
  on: FrameRule['on'],
  minBytes: number,
  maxBytes: number,
  lengthScope: FrameRule['lengthScope'] = 'connection',
): FrameRule {
  return { name, on, minBytes, maxBytes, lengthScope };
}

/** @returns what is wrong with the header of a frame of a known type. */
export function checkFrameHeader(type: number, length: number, streamId: number): Http2Error | undefined {
  const { name, on, minBytes, maxBytes, lengthScope } = RULES[type] as FrameRule;
  if (streamId === 0 ? on === 'stream' : on === 'connection') {
    return connectionError('PROTOCOL_ERROR', `${name} on ${streamId === 0 ? 'stream 0' : 'a stream'}`);
  }
  if (length >= minBytes && length <= maxBytes) return undefined;
  const error = lengthScope === 'connection' ? connectionError : streamError;
  return error('FRAME_SIZE_ERROR', `${name} of ${length} bytes`);
}

export function isKnownType(type: number): boolean {
  return type < RULES.length;
}
