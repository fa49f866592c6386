import { describe, expect, it } from 'vitest';
import { endOfLifeWarning } from '../../../src/server/node-release.ts';

describe('endOfLifeWarning', () => {
  it.each([
    ['20.19.0', '2026-05-01', 'Node 20 reached end of life in April 2026; use 24'],
    ['20.19.0', '2026-04-30', 'Node 20 reached end of life in April 2026; use 24'],
    ['20.19.0', '2026-04-29', undefined],
    ['22.12.0', '2026-11-01', undefined],
    ['22.12.0', '2027-05-01', 'Node 22 reached end of life in April 2027; use 24'],
    ['25.1.0', '2026-06-02', 'Node 25 reached end of life in June 2026; use 24'],
    ['24.11.0', '2030-01-01', undefined],
    ['26.0.0', '2030-01-01', undefined],
  ])('for Node %s on %s is %s', (version, date, warning) => {
    expect(endOfLifeWarning(version, new Date(date))).toBe(warning);
  });
});
