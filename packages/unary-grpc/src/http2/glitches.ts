/**
 * A leaky bucket of glitches: frames that are allowed, but that cost us more than their sender and that honest clients
 * rarely send. One bucket serves all kinds, because attacks that are spread over kinds cost the same.
 */
import type { Http2Error } from './error.ts';
import { VIOLATION } from './violations.ts';

/** In points. A call that was served pays for as many as follow it, so that a busy client never meets the limit. */
const BURST = 8000;
const POINTS_PER_MS = 0.8;
const POINTS_PER_CALL = 4;

/** What each glitch costs. A glitch that comes with a call (grpc-go measures its bandwidth by PING) costs one point. */
const GLITCH = {
  ping: 1,
  windowUpdate: 1,
  /** A frame of a stream that has ended. A RST_STREAM at the deadline of a call crosses our response nearly always. */
  lateFrame: 1,
  /** A request that no handler gets. Its response gives back all but one point. */
  rejected: POINTS_PER_CALL + 1,
  /** A call was reset before its message was complete (CVE-2023-44487). */
  earlyReset: 8,
  /** We reset a stream because the client broke a rule or opened too many (CVE-2025-8671). */
  streamError: 8,
  /** DATA with few bytes or none beyond what a client may need to write a message (CVE-2019-9518). */
  tinyData: 8,
  priority: 8,
  goAway: 8,
  settings: 8,
  unknownFrame: 8,
} as const;

type Glitch = keyof typeof GLITCH;

export class GlitchBucket {
  #points = 0;
  #leakedAtMs = 0;
  /** Set once the bucket has overflowed. */
  error: Http2Error | undefined;

  /** A complete request was answered, or would have been if the server had not been busy. */
  credit(): void {
    this.#points -= POINTS_PER_CALL;
    if (this.#points < 0) this.#points = 0;
  }

  /** Called with the time at each read. */
  leak(nowMs: number): void {
    // A clock that was set back leaks nothing.
    const passedMs = Math.max(0, nowMs - this.#leakedAtMs);
    this.#points = Math.max(0, this.#points - passedMs * POINTS_PER_MS);
    this.#leakedAtMs = nowMs;
  }

  /** @returns the connection error if the bucket overflows. */
  add(glitch: Glitch): Http2Error | undefined {
    this.#points += GLITCH[glitch];
    if (this.#points > BURST) this.error = VIOLATION.tooManyGlitches;
    return this.error;
  }
}
