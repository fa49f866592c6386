/** Holds when the content of a changed file counts as complete. */
import { describe, expect, it } from 'vitest';
import { CompleteFiles } from '../../../src/sources/complete-files.ts';

describe('the content of a file', () => {
  it.each([
    { name: 'seen once', reads: [[0, 'a']], expected: false },
    {
      name: 'seen again a second later',
      reads: [
        [0, 'a'],
        [1000, 'a'],
      ],
      expected: true,
    },
    {
      name: 'seen again too soon',
      reads: [
        [0, 'a'],
        [999, 'a'],
      ],
      expected: false,
    },
    {
      name: 'seen again and again within a second',
      reads: [
        [0, 'a'],
        [500, 'a'],
        [1000, 'a'],
      ],
      expected: true,
    },
    {
      name: 'that has changed between two reads',
      reads: [
        [0, 'a'],
        [1500, 'b'],
      ],
      expected: false,
    },
    {
      name: 'that has changed and changed back',
      reads: [
        [0, 'a'],
        [1500, 'b'],
        [3000, 'a'],
      ],
      expected: false,
    },
    {
      name: 'behind a link that was turned',
      reads: [
        [0, 'a', '/1/f'],
        [1, 'b', '/2/f'],
      ],
      expected: true,
    },
    {
      name: 'changed behind the same link',
      reads: [
        [0, 'a', '/1/f'],
        [1, 'b', '/1/f'],
      ],
      expected: false,
    },
    {
      name: 'of a file that has become a link',
      reads: [
        [0, 'a'],
        [1, 'b', '/2/f'],
      ],
      expected: false,
    },
    {
      name: 'of a link that has become a file',
      reads: [
        [0, 'a', '/1/f'],
        [1, 'b'],
      ],
      expected: false,
    },
  ] as const)('$name: complete: $expected', ({ reads, expected }) => {
    let nowMs = 0;
    const files = new CompleteFiles(() => nowMs);
    let isComplete: boolean | undefined;
    for (const [atMs, digest, target] of reads) {
      nowMs = atMs;
      isComplete = files.isComplete('/f', { digest, target });
    }
    expect(isComplete).toBe(expected);
  });

  it('says nothing of another file', () => {
    let nowMs = 0;
    const files = new CompleteFiles(() => nowMs);
    files.isComplete('/f', { digest: 'a', target: undefined });
    nowMs = 2000;
    expect(files.isComplete('/g', { digest: 'a', target: undefined })).toBe(false);
  });
});
