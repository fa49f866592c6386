/** Tests that inputs which fuzzing found do no harm any more, and the options, changes and corpus of the fuzzer. */
import { readdirSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { minimise, readCorpus, readCrashes } from '../../fuzz/engine/corpus.mjs';
import { fuzzTarget } from '../../fuzz/engine/loop.mjs';
import { createRandom, mutate } from '../../fuzz/engine/mutate.mjs';
import { readOptions, UsageError } from '../../fuzz/engine/options.mjs';

const FOLDER = new URL('../../fuzz/', import.meta.url);
const TARGETS = readdirSync(new URL('targets/', FOLDER)).map((name) => name.replace('.mjs', ''));

describe('the inputs of fuzz/', () => {
  it.each(TARGETS)('pass in %s', async (name) => {
    const { fuzz, seeds } = await import(new URL(`targets/${name}.mjs`, FOLDER).href);
    const inputs = [...readCorpus(name), ...readCrashes(name), ...seeds.map(Buffer.from), Buffer.alloc(0)];
    for (const input of inputs) {
      // A failure must name its input.
      const outcome = Promise.resolve(input).then(fuzz);
      await expect(outcome, input.toString('latin1')).resolves.toBeUndefined();
    }
    expect(readCorpus(name).length).toBeGreaterThan(10);
  });
});

describe('a changed input', () => {
  const [input, other] = [Buffer.from('one two'), Buffer.from('three')];
  const words = [Buffer.from('WORD')];
  const changes = (seed: number): Buffer[] => {
    const random = createRandom(seed);
    return Array.from({ length: 2000 }, () => mutate(input, other, words, 20, random));
  };

  it('is the same for the same seed, and another for another', () => {
    expect(changes(7)).toEqual(changes(7));
    expect(changes(7)).not.toEqual(changes(8));
  });

  it('is shorter or longer up to the limit, and may have a word or a part of another input', () => {
    const seen = changes(1);
    expect(Math.max(...seen.map(({ length }) => length))).toBe(20);
    expect(Math.min(...seen.map(({ length }) => length))).toBe(0);
    for (const part of ['WORD', 'ree', 'oneone'])
      expect(
        seen.some((bytes) => bytes.includes(part)),
        part,
      ).toBe(true);
  });
});

describe('the corpus', () => {
  /** As if each letter were a branch. */
  const lettersOf = async (input: Buffer) => [...new Set(input.filter((byte) => byte > 0x60))];

  it('keeps the shortest inputs that reach everything, without what they do not need', async () => {
    const inputs = ['a1b2c3', 'ab', '99999d9999', 'ddd', 'b'].map((text) => Buffer.from(text));
    const { kept, covered } = await minimise(inputs, lettersOf);
    expect(kept.map(String)).toEqual(['b', 'a', 'd', 'c']);
    expect(covered.size).toBe(4);
  });
});

describe('a run of the fuzzer', () => {
  const target = { fuzz: () => undefined, covers: [], seeds: ['a'], words: ['b'] };

  it('lasts until it has run as many inputs as it must, and without such a number as long as it must', async () => {
    const counted = await fuzzTarget('none', target, { seconds: 0, least: 500, seed: 1 });
    expect(counted.executions).toBeGreaterThanOrEqual(500);
    expect(counted.executions).toBeLessThan(600);
    const timed = await fuzzTarget('none', target, { seconds: 0.1, least: 1, seed: 1 });
    expect(timed.executions).toBeGreaterThan(600);
  });
});

describe('the options of the fuzzer', () => {
  const read = (...args: readonly string[]) => readOptions(args, ['one', 'two']);
  const USAGE =
    'usage: npm run fuzz -- [--seconds N] [--executions N] [--target one|two]… [--seed N] [--missed]';

  it('run every target for a minute, unless they say otherwise', () => {
    expect(read('--seed', '3')).toEqual({
      seconds: 60,
      executions: 0,
      seed: 3,
      targets: ['one', 'two'],
      missed: false,
    });
    expect(read('--target', 'two', '--seconds', '5')).toMatchObject({ targets: ['two'], seconds: 5 });
  });

  it('need no time if they name a number of executions', () => {
    expect(read('--seconds', '0', '--executions', '500')).toMatchObject({ seconds: 0, executions: 500 });
  });

  it.each([
    [['--fast'], `Unknown option '--fast'\n${USAGE}`],
    [['word'], `Unexpected argument 'word'\n${USAGE}`],
    [['--target', 'three'], USAGE],
    [['--seconds', '0'], USAGE],
    [['--seconds', 'x', '--executions', '5'], USAGE],
    [['--executions=-1'], USAGE],
    [['--executions', '-1'], `Option '--executions' argument is ambiguous\n${USAGE}`],
    [['--executions', '1.5'], USAGE],
    [['--seed', 'x'], USAGE],
  ])('that are wrong get the usage: %j', (args, message) => {
    expect(() => read(...args)).toThrow(new UsageError(message));
  });
});
