/** Finds the headers that checks read by their places in the message: most are never read, so nothing is made of them. */
import type { HeaderValues } from '../authz/check-request.ts';
import type { Pair } from './check-request-fields.ts';
import type { WireReader } from './wire.ts';

/** Length and last letter, ignoring case: enough to pass over most other headers. */
function shapeOf(length: number, lastByte: number): number {
  return ((length & 0x3f) << 5) | (lastByte & 0x1f);
}

const SHAPES = 1 << 11;

/** Cached by the set of names. */
const shapesOfNames = new WeakMap<ReadonlySet<string>, Uint8Array>();

function shapesOf(names: ReadonlySet<string>): Uint8Array {
  const known = shapesOfNames.get(names);
  if (known !== undefined) return known;
  const shapes = new Uint8Array(SHAPES);
  for (const name of names) shapes[shapeOf(name.length, name.charCodeAt(name.length - 1))] = 1;
  shapesOfNames.set(names, shapes);
  return shapes;
}

export class HeaderIndex implements HeaderValues {
  readonly #reader: WireReader;
  readonly #shapes: Uint8Array;
  readonly #pairs: Pair[] = [];

  /** @param names the headers to find, in lower case. */
  constructor(reader: WireReader, names: ReadonlySet<string>) {
    this.#reader = reader;
    this.#shapes = shapesOf(names);
  }

  /** @returns whether the pair is kept, as its name may be one of those to find. */
  add(pair: Pair): boolean {
    const { keyStart, keyEnd } = pair;
    const lastByte = this.#reader.byteAt(keyEnd - 1) ?? 0;
    if (this.#shapes[shapeOf(keyEnd - keyStart, lastByte)] !== 1) return false;
    this.#pairs.push(pair);
    return true;
  }

  get(name: string): readonly Buffer[] | undefined {
    let values: Buffer[] | undefined;
    for (const pair of this.#pairs) {
      const isNamed = pair.keyEnd - pair.keyStart === name.length && this.#reader.isName(pair.keyStart, name);
      if (!isNamed) continue;
      const value = this.#reader.view(pair);
      if (values === undefined) values = [value];
      else values.push(value);
    }
    return values;
  }
}
