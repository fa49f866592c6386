/** Encodes header blocks without a dynamic table and without Huffman (RFC 7541 §6): responses have few, short fields. */
import { integerBytes } from './integer.ts';
import { STATIC_TABLE } from './static-table.ts';

/** What both sides start with (RFC 9113 §6.5.2, SETTINGS_HEADER_TABLE_SIZE). */
const INITIAL_TABLE_BYTES = 4096;

/** A dynamic table size update to 0 (§6.3). */
const SIZE_UPDATE_TO_ZERO = Buffer.of(0x20);
const NOTHING = Buffer.alloc(0);

const INDEX_OF_FIELD: ReadonlyMap<string, number> = new Map(
  STATIC_TABLE.map(([name, value], index) => [key(name, value), index + 1]),
);
/** The first of the entries that have the name. */
const INDEX_OF_NAME: ReadonlyMap<string, number> = new Map(
  STATIC_TABLE.map(([name], index): [string, number] => [name, index + 1]).reverse(),
);

export type Field = readonly [name: string, value: string];

/** Encodes the fields; strings are latin1. The result is the same on each connection, so that it can be kept. */
export function encodeFields(fields: Iterable<Field>): Buffer {
  const parts: Buffer[] = [];
  for (const [name, value] of fields) parts.push(encodeField(name, value));
  return Buffer.concat(parts);
}

function encodeField(name: string, value: string): Buffer {
  const field = INDEX_OF_FIELD.get(key(name, value));
  // Indexed field (§6.1).
  if (field !== undefined) return Buffer.from(integerBytes(0x80, 0x7f, field));
  // Literal field without indexing (§6.2.2).
  const index = INDEX_OF_NAME.get(name);
  const head = Buffer.from(integerBytes(0x00, 0x0f, index ?? 0));
  return Buffer.concat(index === undefined ? [head, literal(name), literal(value)] : [head, literal(value)]);
}

/** A string literal without Huffman (§5.2). */
function literal(text: string): Buffer {
  return Buffer.concat([Buffer.from(integerBytes(0x00, 0x7f, text.length)), Buffer.from(text, 'latin1')]);
}

function key(name: string, value: string): string {
  return `${name}\0${value}`;
}

/**
 * The part of an encoder that a connection must remember. A peer that lowers SETTINGS_HEADER_TABLE_SIZE expects the next
 * block to start with a size update (§4.2). We never add an entry: one update to 0 answers that and each later change.
 */
export class TableSizeUpdate {
  #state: 'not needed' | 'due' | 'sent' = 'not needed';

  /** Takes the SETTINGS_HEADER_TABLE_SIZE of the peer. */
  limit(bytes: number): void {
    if (bytes < INITIAL_TABLE_BYTES && this.#state === 'not needed') this.#state = 'due';
  }

  /** What the next header block of the connection starts with. */
  take(): Buffer {
    if (this.#state !== 'due') return NOTHING;
    this.#state = 'sent';
    return SIZE_UPDATE_TO_ZERO;
  }
}
