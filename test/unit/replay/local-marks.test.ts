/** Tests the bounded memory of signatures in one process. */
import { describe, expect, test } from 'vitest';
import type { ReplayMark } from '../../../src/authz/replay.ts';
import { createLocalMarks, MAX_MARKS } from '../../../src/replay/local-marks.ts';

const NOW = 1_700_000_000;

function mark(key: string, requestId: string, keepUntilSeconds = NOW + 300): ReplayMark {
  return { key, requestId, createdSeconds: NOW, clockToleranceSeconds: 60, keepUntilSeconds };
}

describe('the signatures that a process remembers', () => {
  test.each([
    ['the same id', '17', '17', 'fresh'],
    ['another id', '17', '18', 'replayed'],
    ['no id, after one with an id', '17', '', 'replayed'],
    ['an id, after one without', '', '17', 'replayed'],
    ['no id, after one without', '', '', 'replayed'],
    ['the same id of 64 characters', 'x'.repeat(64), 'x'.repeat(64), 'fresh'],
    ['the same id of 65 characters', 'x'.repeat(65), 'x'.repeat(65), 'replayed'],
  ])('make of a second request with %s: %j, then %j is %s', (_, first, second, outcome) => {
    const marks = createLocalMarks();
    expect(marks.add(mark('a', first), NOW)).toBe('fresh');
    expect(marks.add(mark('a', second), NOW)).toBe(outcome);
    expect(marks.add(mark('b', second), NOW)).toBe('fresh');
  });

  test('keep the id of the first request, not of the replay', () => {
    const marks = createLocalMarks();
    const outcomes = ['1', '2', '2', '1'].map((id) => marks.add(mark('a', id), NOW));
    expect(outcomes).toEqual(['fresh', 'replayed', 'replayed', 'fresh']);
  });

  test('can be corrected to a request that was first elsewhere, if they were recorded at all', () => {
    const marks = createLocalMarks(1);
    marks.add(mark('a', '2'), NOW);
    marks.correct('a', '1');
    expect([marks.add(mark('a', '1'), NOW), marks.add(mark('a', '2'), NOW)]).toEqual(['fresh', 'replayed']);
    expect(marks.add(mark('b', '2'), NOW)).toBe('full');
    marks.correct('b', '1');
    expect(marks.add(mark('b', '2'), NOW)).toBe('full');
  });

  test('are at most 100,000, and then nothing more is recorded until one expires', () => {
    expect(MAX_MARKS).toBe(100_000);
    const marks = createLocalMarks();
    for (let at = 0; at < MAX_MARKS; at++) marks.add(mark(`key ${at}`, '1', NOW + 300 + (at % 2)), NOW);
    expect(marks.add(mark('new', '1'), NOW)).toBe('full');
    expect(marks.add(mark('new', '2'), NOW)).toBe('full');
    expect(marks.add(mark('key 0', '2'), NOW)).toBe('replayed');
    expect(marks.add(mark('new', '1'), NOW + 302)).toBe('full');
    expect(marks.add(mark('new', '1'), NOW + 303)).toBe('fresh');
    expect(marks.add(mark('new', '2'), NOW + 303)).toBe('replayed');
    // The other half is still remembered.
    expect(marks.add(mark('key 1', '2', NOW + 301), NOW + 303)).toBe('replayed');
  });

  test('are remembered until 2 s after a signature is not accepted any more', () => {
    const marks = createLocalMarks();
    marks.add(mark('a', '1', NOW + 300.4), NOW);
    expect(marks.add(mark('a', '2', NOW + 300.4), NOW + 302.4)).toBe('replayed');
    expect(marks.add(mark('a', '2', NOW + 300.4), NOW + 303.5)).toBe('fresh');
  });

  test('expire though the clock had been a day ahead', () => {
    const marks = createLocalMarks(2);
    marks.add(mark('ahead', '1', NOW + 86_700), NOW + 86_400);
    expect(marks.add(mark('a', '1', NOW + 300), NOW)).toBe('fresh');
    expect(marks.add(mark('b', '1', NOW + 600), NOW + 310)).toBe('fresh');
  });
});
