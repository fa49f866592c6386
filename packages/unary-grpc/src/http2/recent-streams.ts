/** Remembers the streams that ended last, in bounded memory (RFC 9113 §5.1, state "closed"). */
import { REMEMBERED_STREAMS } from '../limits.ts';

export class RecentStreams {
  /** A ring, which grows up to its limit. */
  readonly #ids: number[] = [];
  #next = 0;

  add(streamId: number): void {
    this.#ids[this.#next] = streamId;
    this.#next = (this.#next + 1) % REMEMBERED_STREAMS;
  }

  /** A linear search, because frames for streams that have ended are rare. */
  has(streamId: number): boolean {
    return this.#ids.includes(streamId);
  }
}
