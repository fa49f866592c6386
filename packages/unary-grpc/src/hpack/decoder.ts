/** Decodes header blocks (RFC 7541 §3 and §6). */
import { DynamicTable } from './dynamic-table.ts';
import type { HpackError } from './error.ts';
import { decodeHuffman, HAS_EOS } from './huffman.ts';
import { type Reader, readInteger } from './integer.ts';
import { STATIC_TABLE } from './static-table.ts';

/** What both sides start with (RFC 9113 §6.5.2, SETTINGS_HEADER_TABLE_SIZE). */
const INITIAL_TABLE_BYTES = 4096;

/** The smallest and then the final size, if the limit changed more than once between two blocks (§4.2). */
const MAX_SIZE_UPDATES = 2;

/** A string's shortest code has five bits (Appendix B). */
const SHORTEST_CODE_BITS = 5;

/** Huffman strings are decoded into this; only a longer one has a buffer allocated for it. */
const SCRATCH = Buffer.allocUnsafeSlow(4096);

const STATIC_NAMES = STATIC_TABLE.map(([name]) => name);
const STATIC_VALUES = STATIC_TABLE.map(([, value]) => value);
const STATIC_COUNT = STATIC_TABLE.length;

export type OnField = (name: string, value: string) => void;

/** The decoder of one connection: it keeps the dynamic table from block to block. */
export class HpackDecoder {
  readonly #table: DynamicTable;
  readonly #maxTableBytes: number;
  readonly #reader: Reader = { block: SCRATCH, at: 0, error: undefined };

  /** `maxTableBytes` is the SETTINGS_HEADER_TABLE_SIZE that the peer was sent. */
  constructor(maxTableBytes = INITIAL_TABLE_BYTES) {
    this.#maxTableBytes = maxTableBytes;
    this.#table = new DynamicTable(maxTableBytes, Math.min(maxTableBytes, INITIAL_TABLE_BYTES));
  }

  /** What the entries of the dynamic table count for (§4.1). */
  get tableBytes(): number {
    return this.#table.bytes;
  }

  /** How often the dynamic table has changed. Until it does, the same block means the same fields. */
  get tableChanges(): number {
    return this.#table.changes;
  }

  /**
   * Decodes one complete header block and passes each field to `onField`, in order. Strings are latin1: a character for each
   * byte. Returns why the block is not valid, if so; the connection cannot continue then, as the table is out of step.
   *
   * Any block that is legal by RFC 7541 is decoded to its end. Limits for the list are the caller's: a field out of the table
   * costs a byte in the block and no memory here, whatever its size.
   */
  decode(block: Buffer, onField: OnField): HpackError | undefined {
    const reader = this.#reader;
    reader.block = block;
    reader.at = 0;
    reader.error = undefined;
    const error = this.#resize(reader) ?? this.#fields(reader, onField);
    // A block is a part of a larger buffer: it must not stay in memory until the next one.
    reader.block = SCRATCH;
    return error;
  }

  /** Dynamic table size updates (§6.3), which come before the first field (§4.2). */
  #resize(reader: Reader): HpackError | undefined {
    for (let updates = 0; isSizeUpdate(reader.block[reader.at]); updates++) {
      if (updates === MAX_SIZE_UPDATES) return 'size-updates-too-many';
      const bytes = readInteger(reader, 0x1f);
      if (bytes < 0) return reader.error;
      if (bytes > this.#maxTableBytes) return 'size-update-too-large';
      this.#table.resize(bytes);
    }
    return undefined;
  }

  #fields(reader: Reader, onField: OnField): HpackError | undefined {
    const { block } = reader;
    const table = this.#table;
    while (reader.at < block.length) {
      const byte = block[reader.at] as number;
      if (byte >= 0x80) {
        // Indexed field (§6.1).
        const index = readInteger(reader, 0x7f);
        if (index < 0) return reader.error;
        if (index === 0) return 'index-zero';
        const age = index - STATIC_COUNT - 1;
        if (age < 0) onField(STATIC_NAMES[index - 1] as string, STATIC_VALUES[index - 1] as string);
        else if (age < table.count) onField(table.name(age), table.value(age));
        else return 'index-out-of-range';
        continue;
      }
      if (isSizeUpdate(byte)) return 'size-update-misplaced';
      // Literal field with incremental indexing (§6.2.1); or without indexing (§6.2.2) or never indexed (§6.2.3), which differ
      // only for a proxy.
      const indexed = byte >= 0x40;
      const name = this.#literalName(reader, indexed ? 0x3f : 0x0f);
      if (name === undefined) return reader.error;
      const value = readString(reader);
      if (value === undefined) return reader.error;
      if (indexed) table.add(name, value);
      onField(name, value);
    }
    return undefined;
  }

  /** The name of a literal field: of an entry, or a string where the index is 0 (§6.2). */
  #literalName(reader: Reader, mask: number): string | undefined {
    const index = readInteger(reader, mask);
    if (index === 0) return readString(reader);
    if (index < 0) return undefined;
    const age = index - STATIC_COUNT - 1;
    if (age < 0) return STATIC_NAMES[index - 1];
    if (age < this.#table.count) return this.#table.name(age);
    reader.error = 'index-out-of-range';
    return undefined;
  }
}

function isSizeUpdate(byte: number | undefined): boolean {
  return byte !== undefined && (byte & 0xe0) === 0x20;
}

/** A string literal (§5.2); undefined on an error. */
function readString(reader: Reader): string | undefined {
  const { block } = reader;
  const first = block[reader.at];
  if (first === undefined) {
    reader.error = 'block-truncated';
    return undefined;
  }
  const length = readInteger(reader, 0x7f);
  if (length < 0) return undefined;
  const start = reader.at;
  const end = start + length;
  if (end > block.length) {
    reader.error = 'block-truncated';
    return undefined;
  }
  reader.at = end;
  if (first < 0x80) return block.toString('latin1', start, end);
  const room = Math.ceil((length * 8) / SHORTEST_CODE_BITS);
  const out = room <= SCRATCH.length ? SCRATCH : Buffer.allocUnsafeSlow(room);
  const decoded = decodeHuffman(block, start, end, out);
  if (decoded >= 0) return out.toString('latin1', 0, decoded);
  reader.error = decoded === HAS_EOS ? 'huffman-eos' : 'huffman-padding';
  return undefined;
}
