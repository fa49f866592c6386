/** Errors of a connection or of a stream (RFC 9113 §5.4, §7). */

export const ERROR_CODE = {
  NO_ERROR: 0x0,
  PROTOCOL_ERROR: 0x1,
  INTERNAL_ERROR: 0x2,
  FLOW_CONTROL_ERROR: 0x3,
  SETTINGS_TIMEOUT: 0x4,
  STREAM_CLOSED: 0x5,
  FRAME_SIZE_ERROR: 0x6,
  REFUSED_STREAM: 0x7,
  CANCEL: 0x8,
  COMPRESSION_ERROR: 0x9,
  ENHANCE_YOUR_CALM: 0xb,
} as const;

type ErrorName = keyof typeof ERROR_CODE;

/** A connection error ends in GOAWAY, a stream error in RST_STREAM. */
export interface Http2Error {
  readonly scope: 'connection' | 'stream';
  readonly code: number;
  /** What was wrong. It contains nothing that the peer sent, so it can be logged. */
  readonly reason: string;
}

export function connectionError(name: ErrorName, reason: string): Http2Error {
  return { scope: 'connection', code: ERROR_CODE[name], reason };
}

export function streamError(name: ErrorName, reason: string): Http2Error {
  return { scope: 'stream', code: ERROR_CODE[name], reason };
}
