/**
 * A leaky bucket of glitches: frames that are allowed, cost us more than their sender, and that honest clients send
 * few of. One bucket serves all kinds, because attacks that are spread over kinds cost the same.
 */

/** In points. A call that was served pays for as many as follow it, so that a busy client never meets the limit. */
const BURST = 8000;
const POINTS_PER_MS = 0.8;
const POINTS_PER_CALL = 4;

/** What each glitch costs. A glitch that comes with a call (grpc-go measures its bandwidth by PING) costs one point. */
export const GLITCH = {
  ping: 1,
  windowUpdate: 1,
  /** RST_STREAM, DATA or HEADERS of a stream that has just ended: frames that crossed ours. */
  lateFrame: 1,
  /** A call was reset before its message was complete (CVE-2023-44487). */
  earlyReset: 8,
  /** We reset a stream because the client broke a rule (CVE-2025-8671). */
  streamError: 8,
  refusedStream: 8,
  /** DATA with few bytes or none that neither begins nor ends its stream (CVE-2019-9518). */
  tinyData: 8,
  priority: 8,
  settings: 8,
  unknownFrame: 8,
  /** A CONTINUATION, whose header block may be cut into as many as its limit allows. */
  continuation: 8,
} as const;

export type Glitch = keyof typeof GLITCH;

export class GlitchBucket {
  #points = 0;
  #leakedAtMs = 0;

  served(): void {
    this.#points -= POINTS_PER_CALL;
    if (this.#points < 0) this.#points = 0;
  }

  /** @returns whether the bucket still has room. */
  add(glitch: Glitch, nowMs: number): boolean {
    const leaked = (nowMs - this.#leakedAtMs) * POINTS_PER_MS;
    if (leaked > 0) {
      this.#points = Math.max(0, this.#points - leaked);
      this.#leakedAtMs = nowMs;
    } else if (leaked < 0) this.#leakedAtMs = nowMs;
    this.#points += GLITCH[glitch];
    return this.#points <= BURST;
  }
}
