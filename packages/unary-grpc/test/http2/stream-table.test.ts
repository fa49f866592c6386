/** Tests that the table finds exactly the streams that a Map would, whatever their ids. */
import { expect, test } from 'vitest';
import { createRandom } from '../../../../fuzz/engine/mutate.mjs';
import { Stream } from '../../src/http2/stream.ts';
import { StreamTable } from '../../src/http2/stream-table.ts';

const streamOf = (id: number): Stream<unknown> => new Stream(id, 0, 0, -1);

/** Ids of many streams, from 1 up. */
const IDS: readonly (readonly [name: string, idAt: (index: number) => number])[] = [
  ['follow each other', (index) => 2 * index + 1],
  ['share their first slot', (index) => 8192 * index + 1],
  ['fill a few first slots in turn', (index) => 8192 * index + 1 + 2 * (index % 3)],
  ['wrap around the end of the table', (index) => 8192 * index + 31],
];

test.each(IDS)('a table of streams whose ids %s agrees with a Map while streams come and go', (_, idAt) => {
  const random = createRandom(7);
  const table = new StreamTable<unknown>();
  const expected = new Map<number, Stream<unknown>>();
  for (let index = 0; index < 4000; index++) {
    const stream = streamOf(idAt(index));
    table.add(stream);
    expected.set(stream.id, stream);
    // The number of streams rises to some hundred and falls to none.
    const target = Math.abs((index % 600) - 300);
    for (const id of expected.keys()) {
      if (expected.size <= target) break;
      if (random(3) === 0) continue;
      table.delete(id);
      expected.delete(id);
    }
    for (let probe = 0; probe < 4; probe++) {
      const id = idAt(Math.max(0, index - random(400)));
      expect(table.get(id)).toBe(expected.get(id));
    }
    expect(table.size).toBe(expected.size);
  }
  expect(new Set(table.values())).toEqual(new Set(expected.values()));
});

test('deleting a stream that is not in the table changes nothing', () => {
  const table = new StreamTable<unknown>();
  const stream = streamOf(1);
  table.add(stream);
  table.delete(3);
  table.delete(33);
  expect([table.size, table.get(1), table.get(3)]).toEqual([1, stream, undefined]);
});

test('a cleared table is empty', () => {
  const table = new StreamTable<unknown>();
  for (let id = 1; id < 99; id += 2) table.add(streamOf(id));
  table.clear();
  expect([table.size, table.get(1), table.values()]).toEqual([0, undefined, []]);
});
