/** Tests the command line of the bench, and the run that it writes into docs/performance.md. */
import { readFileSync } from 'node:fs';
import { describe, expect, test } from 'vitest';
import { BenchError } from '../../../bench/errors.mjs';
import { readOptions } from '../../../bench/options.mjs';
import { PAGE, withRun } from '../../../bench/performance-page.mjs';

const ids = (rows: readonly { id: string }[]) => rows.map(({ id }) => id);

describe('the options of the bench', () => {
  test('choose parts, scenarios and servers, in the order of the lists', () => {
    const options = readOptions([
      '--only',
      'envoy,direct',
      '--scenario',
      'refused,hot',
      '--subject',
      'go,empty',
    ]);
    expect(options.parts).toEqual(['envoy', 'direct']);
    expect(ids(options.scenarios.direct)).toEqual(['hot', 'refused']);
    expect(ids(options.subjects)).toEqual(['empty', 'go']);
  });

  test('run ten rounds, with --quick as without', () => {
    expect(readOptions([]).pace.rounds).toBe(10);
    expect(readOptions(['--quick']).pace.rounds).toBe(10);
  });

  test('start no more instances than there are rounds', () => {
    expect(readOptions(['--rounds', '1']).pace).toMatchObject({ rounds: 1, instances: 1 });
  });

  test.each([
    [['--only', 'nothing'], '--only nothing: not one of direct, envoy, steps'],
    [['--rounds', '0'], '--rounds 0: not a whole number from 1 to 999999'],
    [['--node', 'a', '--node-version', '24'], '--node and --node-version: use one of them'],
    [['--fast'], "Unknown option '--fast' (usage: npm run bench -- --help)"],
  ])('that are wrong get one line: %j', (args, message) => {
    expect(() => readOptions(args)).toThrow(new BenchError(message));
  });
});

test('a run replaces the last one on the page, and nothing else', () => {
  const { pace } = readOptions([]);
  const run = {
    date: '2026-12-01',
    machine: { CPU: 'one' },
    unavailable: [],
    pace,
    results: { steps: { decode: [2, 3] } },
  };
  const page = readFileSync(PAGE, 'utf8');
  const written = withRun(page, run, ['--write-docs']);
  expect(written).toContain('| decode | 2.50 (2.00–3.00) |');
  const around = (text: string) => text.split(/<!-- run:.*?<!-- end of run -->/s);
  expect(around(written)).toEqual(around(page));
  expect(withRun(written, run, ['--write-docs'])).toBe(written);
});
