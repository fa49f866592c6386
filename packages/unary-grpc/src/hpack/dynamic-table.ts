/** The dynamic table (RFC 7541 §2.3.2 and §4): a queue of fields, the newest first, that is bounded by their size. */

/** What an entry counts for in addition to its name and value (§4.1). */
const ENTRY_OVERHEAD_BYTES = 32;

export class DynamicTable {
  /** A ring: the entry at position p is in slot p & #mask; positions only grow. It has a slot for each entry of the smallest size. */
  readonly #names: string[];
  readonly #values: string[];
  readonly #mask: number;
  /** The position of the next entry. */
  #next = 0;
  #count = 0;
  #bytes = 0;
  #limitBytes: number;
  #changes = 0;

  /** `maxBytes` bounds every later `resize`. */
  constructor(maxBytes: number, limitBytes: number) {
    let slots = 1;
    while (slots * ENTRY_OVERHEAD_BYTES < maxBytes) slots *= 2;
    this.#mask = slots - 1;
    this.#names = new Array(slots).fill('');
    this.#values = new Array(slots).fill('');
    this.#limitBytes = limitBytes;
  }

  get count(): number {
    return this.#count;
  }

  get bytes(): number {
    return this.#bytes;
  }

  /** How often it has changed. */
  get changes(): number {
    return this.#changes;
  }

  /** The name of the entry that `age` newer ones precede; `age` < `count`. */
  name(age: number): string {
    return this.#names[(this.#next - 1 - age) & this.#mask] as string;
  }

  value(age: number): string {
    return this.#values[(this.#next - 1 - age) & this.#mask] as string;
  }

  /** Adds a field (§4.4). One that is larger than the table empties it and is not an error. */
  add(name: string, value: string): void {
    this.#changes++;
    const bytes = name.length + value.length + ENTRY_OVERHEAD_BYTES;
    this.#evict(this.#limitBytes - bytes);
    if (bytes > this.#limitBytes) return;
    const slot = this.#next & this.#mask;
    this.#names[slot] = name;
    this.#values[slot] = value;
    this.#next = (this.#next + 1) & this.#mask;
    this.#count++;
    this.#bytes += bytes;
  }

  /** Changes the size limit (§4.3). */
  resize(limitBytes: number): void {
    this.#changes++;
    this.#limitBytes = limitBytes;
    this.#evict(limitBytes);
  }

  /** Removes the oldest entries until the others fit into `room` bytes. */
  #evict(room: number): void {
    while (this.#count > 0 && this.#bytes > room) {
      const slot = (this.#next - this.#count) & this.#mask;
      const name = this.#names[slot] as string;
      const value = this.#values[slot] as string;
      this.#bytes -= name.length + value.length + ENTRY_OVERHEAD_BYTES;
      // The strings must not outlive their entry: the limit of the table bounds the memory.
      this.#names[slot] = '';
      this.#values[slot] = '';
      this.#count--;
    }
  }
}
