/** The streams of a connection: the open ones, and what is remembered of the others (RFC 9113 §5.1). */
import { RecentStreams } from './recent-streams.ts';
import type { Stream, StreamState } from './stream.ts';
import { StreamTable } from './stream-table.ts';

export class Streams<Call> {
  /** Open and half-closed (remote). */
  readonly active = new StreamTable<Call>();
  /** The highest id that the client has used (§5.1.1). */
  lastId = 0;
  /** The last stream id of a final GOAWAY: streams above it are refused (§6.8). */
  lastAcceptedId = Number.POSITIVE_INFINITY;
  readonly #ended = new RecentStreams();
  readonly #resetByPeer = new RecentStreams();
  readonly #resetByUs = new RecentStreams();

  stateOf(id: number): StreamState {
    const active = this.active.get(id);
    if (active !== undefined) return active.state;
    // Even ids are those of a server, which uses none.
    if (id > this.lastId || id % 2 === 0) return id > this.lastAcceptedId ? 'reset by us' : 'idle';
    if (this.#resetByUs.has(id)) return 'reset by us';
    if (this.#ended.has(id)) return 'ended';
    return this.#resetByPeer.has(id) ? 'reset by peer' : 'forgotten';
  }

  open(stream: Stream<Call>): void {
    this.active.add(stream);
  }

  end(id: number): void {
    this.active.delete(id);
    this.#ended.add(id);
  }

  resetByPeer(id: number): void {
    this.active.delete(id);
    this.#resetByPeer.add(id);
  }

  resetByUs(id: number): void {
    this.active.delete(id);
    this.#resetByUs.add(id);
  }
}
