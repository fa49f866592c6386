/** What a client may do wrong with frames, and the error that each ends in (RFC 9113). */
import { connectionError, streamError } from './error.ts';

export const VIOLATION = {
  /** §3.4. */
  noPreface: connectionError('PROTOCOL_ERROR', 'no HTTP/2 connection preface'),
  noSettings: connectionError('PROTOCOL_ERROR', 'no SETTINGS after the connection preface'),
  /** §4.2. */
  frameTooLong: connectionError('FRAME_SIZE_ERROR', 'a frame longer than SETTINGS_MAX_FRAME_SIZE'),
  /** §4.3, §6.10. */
  noContinuation: connectionError('PROTOCOL_ERROR', 'another frame inside a header block'),
  loneContinuation: connectionError('PROTOCOL_ERROR', 'CONTINUATION outside a header block'),
  headerBlockTooLong: connectionError('ENHANCE_YOUR_CALM', 'a header block that is too long'),
  tooManyContinuations: connectionError('ENHANCE_YOUR_CALM', 'too many CONTINUATION frames'),
  headerListTooLarge: connectionError(
    'ENHANCE_YOUR_CALM',
    'a header list far above SETTINGS_MAX_HEADER_LIST_SIZE',
  ),
  /** §5.1.1. */
  evenStream: connectionError('PROTOCOL_ERROR', 'HEADERS on a stream with an even id'),
  /** §5.1.2. */
  tooManyStreams: streamError('REFUSED_STREAM', 'more streams than SETTINGS_MAX_CONCURRENT_STREAMS'),
  /** The client does not know about these two limits, and may try again (§8.7). */
  tooManyHandlers: streamError(
    'REFUSED_STREAM',
    'too many handlers are still running for streams that were reset',
  ),
  tooManyIncomplete: streamError('REFUSED_STREAM', 'too many bytes of incomplete messages'),
  /** RFC 7540 §5.3.1. RFC 9113 has no such rule any more, but clients have no reason to break it. */
  dependsOnItself: connectionError('PROTOCOL_ERROR', 'a stream that depends on itself'),
  /** §6.1, §6.2. */
  dataTooShort: connectionError('FRAME_SIZE_ERROR', 'DATA without room for its padding'),
  dataPadding: connectionError('PROTOCOL_ERROR', 'DATA with more padding than payload'),
  headersTooShort: connectionError('FRAME_SIZE_ERROR', 'HEADERS without room for its fields'),
  headersPadding: connectionError('PROTOCOL_ERROR', 'HEADERS with more padding than payload'),
  /** §6.5. */
  settingsAckPayload: connectionError('FRAME_SIZE_ERROR', 'SETTINGS ACK with a payload'),
  settingsSize: connectionError('FRAME_SIZE_ERROR', 'SETTINGS that is not a list of settings'),
  tooManySettings: connectionError('ENHANCE_YOUR_CALM', 'SETTINGS with too many settings'),
  enablePush: connectionError('PROTOCOL_ERROR', 'SETTINGS_ENABLE_PUSH out of range'),
  initialWindow: connectionError('FLOW_CONTROL_ERROR', 'SETTINGS_INITIAL_WINDOW_SIZE out of range'),
  maxFrameSize: connectionError('PROTOCOL_ERROR', 'SETTINGS_MAX_FRAME_SIZE out of range'),
  /** §6.5.3. */
  settingsTimeout: connectionError('SETTINGS_TIMEOUT', 'SETTINGS not acknowledged in time'),
  /** §6.9. */
  connectionIncrement: connectionError('PROTOCOL_ERROR', 'WINDOW_UPDATE of 0'),
  streamIncrement: streamError('PROTOCOL_ERROR', 'WINDOW_UPDATE of 0'),
  connectionOverrun: connectionError('FLOW_CONTROL_ERROR', 'DATA beyond the window of the connection'),
  streamOverrun: streamError('FLOW_CONTROL_ERROR', 'DATA beyond the window of the stream'),
  /** §6.9.1. */
  connectionWindow: connectionError('FLOW_CONTROL_ERROR', 'a window above 2^31-1 bytes'),
  streamWindow: streamError('FLOW_CONTROL_ERROR', 'a window above 2^31-1 bytes'),
  /** §8.1. */
  openTrailers: streamError('PROTOCOL_ERROR', 'trailers without END_STREAM'),
  contentLength: streamError('PROTOCOL_ERROR', 'DATA length does not match content-length'),
  /** §8.4. */
  push: connectionError('PROTOCOL_ERROR', 'PUSH_PROMISE sent by a client'),
  /** §10.5. */
  tooManyGlitches: connectionError('ENHANCE_YOUR_CALM', 'too many frames that serve no call'),
  unreadResponse: streamError('CANCEL', 'the client does not read its response'),
} as const;
