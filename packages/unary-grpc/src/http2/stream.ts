/** A stream, and which frames its state allows (RFC 9113 §5.1). */
import { connectionError, type Http2Error, streamError } from './error.ts';
import { FRAME } from './frames.ts';

/**
 * The states of §5.1, with "closed" divided by how the stream ended. "half-closed (local)" is not among them: a server
 * that answers before the request has ended resets the stream (§8.1).
 */
export type StreamState =
  | 'idle'
  | 'open'
  | 'half-closed (remote)'
  /** Both sides sent END_STREAM. */
  | 'ended'
  | 'reset by peer'
  /** Also: refused after a GOAWAY. */
  | 'reset by us'
  /** Closed, but it is not known how: by a stream with a higher id that was opened before it, or long ago. */
  | 'forgotten';

type Verdict = 'accept' | 'ignore' | Http2Error;

/** Of the peer's frames that concern a stream; PRIORITY is allowed in every state (§6.3). */
type StateRow = Readonly<Record<typeof FRAME.DATA | typeof FRAME.HEADERS | 'other', Verdict>>;

const STATES: Readonly<Record<StreamState, StateRow>> = {
  idle: {
    [FRAME.DATA]: connectionError('PROTOCOL_ERROR', 'DATA on an idle stream'),
    [FRAME.HEADERS]: 'accept',
    other: connectionError('PROTOCOL_ERROR', 'RST_STREAM or WINDOW_UPDATE on an idle stream'),
  },
  open: { [FRAME.DATA]: 'accept', [FRAME.HEADERS]: 'accept', other: 'accept' },
  'half-closed (remote)': {
    [FRAME.DATA]: streamError('STREAM_CLOSED', 'DATA after END_STREAM'),
    [FRAME.HEADERS]: streamError('STREAM_CLOSED', 'HEADERS after END_STREAM'),
    other: 'accept',
  },
  ended: {
    [FRAME.DATA]: connectionError('STREAM_CLOSED', 'DATA on a stream that has ended'),
    [FRAME.HEADERS]: connectionError('STREAM_CLOSED', 'HEADERS on a stream that has ended'),
    other: 'ignore',
  },
  'reset by peer': {
    [FRAME.DATA]: streamError('STREAM_CLOSED', 'DATA after RST_STREAM'),
    [FRAME.HEADERS]: streamError('STREAM_CLOSED', 'HEADERS after RST_STREAM'),
    other: 'ignore',
  },
  // They may have been sent before our RST_STREAM or GOAWAY arrived.
  'reset by us': { [FRAME.DATA]: 'ignore', [FRAME.HEADERS]: 'ignore', other: 'ignore' },
  forgotten: {
    // We may have reset it: before our SETTINGS arrive, a client may open more streams than we remember.
    [FRAME.DATA]: 'ignore',
    // §5.1.1.
    [FRAME.HEADERS]: connectionError('PROTOCOL_ERROR', 'HEADERS with an id below that of an earlier stream'),
    other: 'ignore',
  },
};

export function verdictOn(state: StreamState, type: keyof StateRow): Verdict {
  return STATES[state][type];
}

/** The part of a response that flow control has not allowed yet (§5.2). */
export interface BlockedResponse {
  readonly body: Buffer;
  sent: number;
  readonly trailers: Buffer | undefined;
  /** In ticks. */
  readonly since: number;
}

/** An open or half-closed (remote) stream. `Call` is what the user of the connection keeps with it. */
export class Stream<Call> {
  readonly id: number;
  state: Extract<StreamState, 'open' | 'half-closed (remote)'> = 'open';
  call: Call | undefined = undefined;
  /** §5.2. */
  sendable: number;
  receivable: number;
  unreturned = 0;
  /** Of the DATA so far: frames, bytes without padding, and bytes that the user of the connection keeps. */
  dataFrames = 0;
  bodyBytes = 0;
  keptBytes = 0;
  /** `content-length`, or -1 (§8.1.1). */
  readonly expectedBytes: number;
  blocked: BlockedResponse | undefined = undefined;

  constructor(id: number, sendable: number, receivable: number, expectedBytes: number) {
    this.id = id;
    this.sendable = sendable;
    this.receivable = receivable;
    this.expectedBytes = expectedBytes;
  }
}
