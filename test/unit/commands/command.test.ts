/** Tests the parsing of options, and the messages for bad ones. */
import { describe, expect, test } from 'vitest';
import { configFile, EXIT, type Io, Options, UsageError } from '../../../src/commands/command.ts';

const DECLARED = {
  token: { type: 'string' },
  header: { type: 'string', multiple: true },
  json: { type: 'boolean' },
} as const;

function messageFor(args: readonly string[]): string {
  try {
    new Options(args, DECLARED);
  } catch (error) {
    expect(error).toBeInstanceOf(UsageError);
    return (error as Error).message;
  }
  throw new Error('was accepted');
}

describe('options', () => {
  test('are parsed by their declared type', () => {
    const options = new Options(['--token', 'a', '--header', 'b: c', '--header=d: e', '--json'], DECLARED);
    expect(options.text('token')).toBe('a');
    expect(options.texts('header')).toEqual(['b: c', 'd: e']);
    expect(options.flag('json')).toBe(true);
  });

  test('not given are undefined, empty or false', () => {
    const options = new Options([], DECLARED);
    expect([options.text('token'), options.texts('header'), options.flag('json')]).toEqual([
      undefined,
      [],
      false,
    ]);
  });

  test('common to all commands need no declaration', () => {
    const options = new Options(['--config', 'file', '--help', '--version'], {});
    expect([options.text('config'), options.flag('help'), options.flag('version')]).toEqual([
      'file',
      true,
      true,
    ]);
  });

  test('may be empty or a dash, and the last of several wins', () => {
    expect(new Options(['--token', ''], DECLARED).text('token')).toBe('');
    expect(new Options(['--token=-'], DECLARED).text('token')).toBe('-');
    expect(new Options(['--token', '-'], DECLARED).text('token')).toBe('-');
    expect(new Options(['--token', 'a', '--token', 'b'], DECLARED).text('token')).toBe('b');
  });

  test.each<[args: string[], about: string]>([
    [['--other'], '--other'],
    [['-x'], '-x'],
    [['--token'], '--token'],
    [['--json=1'], '--json'],
    [['--token', '--json'], '--token'],
    [['--token', '-x'], '--token'],
  ])('%j are rejected in one line that names the option', (args, about) => {
    expect(messageFor(args)).toContain(about);
    expect(messageFor(args)).not.toContain('\n');
  });

  test('do not quote an unexpected value, which may be a token', () => {
    for (const args of [
      ['planted'],
      ['--', 'planted'],
      ['--other=planted'],
      ['--json=planted'],
      ['--token', 'a', 'planted'],
    ]) {
      expect(messageFor(args)).not.toContain('planted');
    }
  });
});

describe('an argument that is the second value of an option', () => {
  const command = { argument: { name: 'URL', values: [], ofOption: 'token' } };

  test('is read after the option', () => {
    expect(new Options(['--token', 'a', '--json', 'b'], DECLARED, command).argument()).toBe('b');
    expect(new Options(['--token', 'a'], DECLARED, command).argument()).toBeUndefined();
  });

  test.each([
    [['b'], 'unexpected argument; only options are accepted'],
    [['b', 'c'], 'unexpected argument; only options are accepted'],
    [['--token', 'a', 'b', 'c'], 'give one URL'],
  ])('is rejected in %j', (args, message) => {
    expect(() => new Options(args, DECLARED, command)).toThrow(new UsageError(message));
  });
});

describe('the configuration file', () => {
  const io = (env: Io['env']): Io => ({ env }) as Io;

  test.each<[args: string[], env: Io['env'], file: string | undefined]>([
    [[], {}, undefined],
    [[], { APPROOV_CONFIG: '' }, undefined],
    [[], { APPROOV_CONFIG: 'a' }, 'a'],
    [['--config', 'b'], { APPROOV_CONFIG: 'a' }, 'b'],
  ])('for arguments %j and environment %j is %j', (args, env, file) => {
    expect(configFile(new Options(args, {}), io(env))).toBe(file);
  });

  test.each(['"a"', "'a'", 'a\r'])('cannot be named by a variable with the value %j', (APPROOV_CONFIG) => {
    expect(() => configFile(new Options([], {}), io({ APPROOV_CONFIG }))).toThrow(/^APPROOV_CONFIG: /);
    expect(configFile(new Options(['--config', 'b'], {}), io({ APPROOV_CONFIG }))).toBe('b');
  });
});

test('the exit codes are 0 ok, 1 failure, 2 usage, 3 refused, 4 not yet and 5 cannot tell', () => {
  expect(EXIT).toEqual({ ok: 0, failure: 1, usage: 2, refused: 3, notYet: 4, cannotTell: 5 });
});
