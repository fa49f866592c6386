/** Tests when the content of a changed file counts as stable. */
import { describe, expect, it } from 'vitest';
import { StableFiles } from '../../../src/sources/stable-files.ts';

describe('the content of a file', () => {
  it.each([
    { name: 'read once', reads: [[0, 'a']], expected: false },
    {
      name: 'read again a second later',
      reads: [
        [0, 'a'],
        [1000, 'a'],
      ],
      expected: true,
    },
    {
      name: 'read again too soon',
      reads: [
        [0, 'a'],
        [999, 'a'],
      ],
      expected: false,
    },
    {
      name: 'read three times in a second',
      reads: [
        [0, 'a'],
        [500, 'a'],
        [1000, 'a'],
      ],
      expected: true,
    },
    {
      name: 'that changed between two reads',
      reads: [
        [0, 'a'],
        [1500, 'b'],
      ],
      expected: false,
    },
    {
      name: 'that changed and changed back',
      reads: [
        [0, 'a'],
        [1500, 'b'],
        [3000, 'a'],
      ],
      expected: false,
    },
    {
      name: 'behind a symbolic link with a new target',
      reads: [
        [0, 'a', '/1/f'],
        [1, 'b', '/2/f'],
      ],
      expected: true,
    },
    {
      name: 'that changed behind the same symbolic link',
      reads: [
        [0, 'a', '/1/f'],
        [1, 'b', '/1/f'],
      ],
      expected: false,
    },
    {
      name: 'of a file that became a symbolic link',
      reads: [
        [0, 'a'],
        [1, 'b', '/2/f'],
      ],
      expected: false,
    },
    {
      name: 'of a symbolic link that became a file',
      reads: [
        [0, 'a', '/1/f'],
        [1, 'b'],
      ],
      expected: false,
    },
  ] as const)('$name is stable: $expected', ({ reads, expected }) => {
    let nowMs = 0;
    const files = new StableFiles(() => nowMs);
    let isStable: boolean | undefined;
    for (const [atMs, digest, target] of reads) {
      nowMs = atMs;
      isStable = files.isStable('/f', { digest, target });
    }
    expect(isStable).toBe(expected);
  });

  it('is tracked per file', () => {
    let nowMs = 0;
    const files = new StableFiles(() => nowMs);
    files.isStable('/f', { digest: 'a', target: undefined });
    nowMs = 2000;
    expect(files.isStable('/g', { digest: 'a', target: undefined })).toBe(false);
  });
});
