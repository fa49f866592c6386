/** Tests that what `/metrics` serves can be read back. */
import { Gauge, Registry } from 'prom-client';
import { describe, expect, test } from 'vitest';
import { labelsOf, parseExposition, sumOf } from '../../../src/telemetry/exposition.ts';

describe('a parsed exposition', () => {
  test('has every sample with its labels and value', async () => {
    const registry = new Registry();
    const plain = new Gauge({ name: 'plain', help: 'with {braces} 1', registers: [registry] });
    const labelled = new Gauge({
      name: 'labelled',
      help: 'a',
      labelNames: ['one', 'two'],
      registers: [registry],
    });
    plain.set(-1.5e-7);
    labelled.set({ one: 'a "quoted" \\ value} 5', two: 'line\nbreak, comma=' }, 2);
    labelled.set({ one: '' }, Number.POSITIVE_INFINITY);
    expect(parseExposition(await registry.metrics())).toEqual([
      { name: 'plain', labels: {}, value: -1.5e-7 },
      { name: 'labelled', labels: { one: 'a "quoted" \\ value} 5', two: 'line\nbreak, comma=' }, value: 2 },
      { name: 'labelled', labels: { one: '' }, value: Number.POSITIVE_INFINITY },
    ]);
  });

  test.each([
    ['a sample with a time stamp', 'a{b="c"} 1 1700000000000', [{ name: 'a', labels: { b: 'c' }, value: 1 }]],
    ['negative infinity', 'a -Inf', [{ name: 'a', labels: {}, value: Number.NEGATIVE_INFINITY }]],
    ['no sample in a comment', '# HELP a b', []],
    ['no sample in an empty text', '', []],
    ['no sample in JSON', '{"a": 1}', []],
  ])('has %s', (_name, text, samples) => {
    expect(parseExposition(text)).toEqual(samples);
  });
});

describe('series with some labels', () => {
  const samples = parseExposition('a{x="1",y="1"} 1\na{x="1",y="2"} 2\na{x="2",y="1"} 4\nb{x="1"} 8\n');

  test('add up', () => {
    expect(sumOf(samples, 'a')).toBe(7);
    expect(sumOf(samples, 'a', { x: '1' })).toBe(3);
    expect(sumOf(samples, 'a', { x: '1', y: '2' })).toBe(2);
    expect(sumOf(samples, 'c')).toBe(0);
  });

  test('list their labels', () => {
    expect(labelsOf(samples, 'a', { x: '1' })).toEqual([
      { x: '1', y: '1' },
      { x: '1', y: '2' },
    ]);
  });
});
