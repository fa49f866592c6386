/** Finds the active streams of a connection by their ids. */
import type { Stream } from './stream.ts';

const FIRST_SLOTS = 16;

/**
 * A hash table with linear probing, for streams that live for a moment. V8 links each table of a `Map` to the one that
 * replaces it, so that dead tables keep the streams of later ones alive: a seventh of all garbage was measured to reach
 * the old generation that way.
 *
 * A lookup passes at most as many slots as streams are active, whatever ids the peer chooses.
 */
export class StreamTable<Call> {
  /** Twice as many as streams, or more. The length is a power of two. */
  #slots: (Stream<Call> | undefined)[] = emptySlots(FIRST_SLOTS);
  #size = 0;

  get size(): number {
    return this.#size;
  }

  get(id: number): Stream<Call> | undefined {
    return this.#slots[this.#find(id)];
  }

  /** @param stream whose id is not in the table. */
  add(stream: Stream<Call>): void {
    if (2 * ++this.#size > this.#slots.length) this.#grow();
    this.#slots[this.#find(stream.id)] = stream;
  }

  delete(id: number): void {
    const slots = this.#slots;
    const mask = slots.length - 1;
    let free = this.#find(id);
    if (slots[free] === undefined) return;
    this.#size--;
    slots[free] = undefined;
    // Streams behind the free slot move up, unless that would put them before their first slot.
    for (let at = (free + 1) & mask; ; at = (at + 1) & mask) {
      const stream = slots[at];
      if (stream === undefined) return;
      const first = (stream.id >>> 1) & mask;
      if (((at - first) & mask) < ((at - free) & mask)) continue;
      slots[free] = stream;
      slots[at] = undefined;
      free = at;
    }
  }

  clear(): void {
    this.#slots = emptySlots(FIRST_SLOTS);
    this.#size = 0;
  }

  /** A copy, which changes of the table do not affect. */
  values(): readonly Stream<Call>[] {
    return this.#slots.filter((stream) => stream !== undefined);
  }

  /** Where the stream is, or would be. Odd ids that follow each other, as those of most clients, get slots of their own. */
  #find(id: number): number {
    const slots = this.#slots;
    const mask = slots.length - 1;
    let at = (id >>> 1) & mask;
    for (;;) {
      const stream = slots[at];
      if (stream === undefined || stream.id === id) return at;
      at = (at + 1) & mask;
    }
  }

  #grow(): void {
    const streams = this.values();
    this.#slots = emptySlots(2 * this.#slots.length);
    for (const stream of streams) this.#slots[this.#find(stream.id)] = stream;
  }
}

function emptySlots<Call>(count: number): (Stream<Call> | undefined)[] {
  return new Array<Stream<Call> | undefined>(count).fill(undefined);
}
