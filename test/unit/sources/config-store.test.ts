/** Owns the proof that real files and the environment together are what the service runs on, or all that is wrong with them. */
import { mkdirSync, mkdtempSync, renameSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { Secret } from '../../../src/approov/secret.ts';
import { ConfigError } from '../../../src/config/config.ts';
import type { Env } from '../../../src/config/env.ts';
import {
  type ConfigStore,
  type LoadedConfig,
  loadConfig,
  type Outcome,
  openConfigStore,
} from '../../../src/sources/config-store.ts';
import { OTHER_SECRET, SECRET } from '../../support/token.ts';

const PRINT = Secret.parse(SECRET).fingerprint;
const OTHER_PRINT = Secret.parse(OTHER_SECRET).fingerprint;

let folder = '';
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'approov-configuration-'));
});
afterEach(() => rmSync(folder, { recursive: true }));

const at = (name: string) => join(folder, name);

function write(name: string, content: string | Buffer): string {
  writeFileSync(at(name), content);
  return at(name);
}

/** A configuration file whose keys have their ids for names of their secrets' files. */
function writeConfig(ids: readonly string[], rest = ''): string {
  const keys = ids.map((id) => `{id: ${id}, secretFile: "${at(id)}"}`);
  return write('config.yaml', `keys: [${keys.join(', ')}]\n${rest}\n`);
}

function keysOf({ keys }: LoadedConfig): string[] {
  return keys.flatMap((loaded) => (loaded.keys ?? []).map(({ id, fingerprint }) => `${id} ${fingerprint}`));
}

async function problemsOf(file: string | undefined, env: Env): Promise<string[]> {
  const error = await loadConfig(file, env).catch((reason: unknown) => reason);
  expect(error).toBeInstanceOf(ConfigError);
  return (error as ConfigError).problems.map(({ path, message }) => `${path}: ${message}`);
}

describe('at the start', () => {
  it('a secret in the environment is enough', async () => {
    const configuration = await loadConfig(undefined, { APPROOV_BASE64_SECRET: SECRET });
    expect(configuration.config.policyTable.defaultPolicy).toMatchObject({
      name: 'default',
      mode: 'enforce',
    });
    expect(keysOf(configuration)).toEqual([`env ${PRINT}`]);
  });

  it('a secret in a file that the environment names is enough', async () => {
    const env = { APPROOV_BASE64_SECRET_FILE: write('secret', `${SECRET}\n`) };
    expect(keysOf(await loadConfig(undefined, env))).toEqual([`env ${PRINT}`]);
  });

  it('a file names its keys, each with its own file', async () => {
    write('current', SECRET);
    write('next', OTHER_SECRET);
    const configuration = await loadConfig(writeConfig(['current', 'next'], 'log: {level: warn}'), {
      LOG_LEVEL: '',
    });
    expect(configuration.config.settings.log.level).toBe('warn');
    expect(keysOf(configuration)).toEqual([`current ${PRINT}`, `next ${OTHER_PRINT}`]);
  });

  it('a file may hold the policies, and the environment the key', async () => {
    const file = write('policies.yaml', 'policies: {default: {mode: limit}}');
    const configuration = await loadConfig(file, { APPROOV_BASE64_SECRET: SECRET });
    expect(configuration.config.policyTable.defaultPolicy.mode).toBe('limit');
    expect(keysOf(configuration)).toEqual([`env ${PRINT}`]);
  });

  it('what is wrong with the file, the environment and the keys’ files is told all at once', async () => {
    write('b', 'QQ==');
    const file = writeConfig(['a', 'b'], 'log: {checks: some}\nextra: 1');
    expect((await problemsOf(file, { APPROOV_MODE: 'on' })).sort()).toEqual([
      'extra: unknown field',
      `keys[0].secretFile: ${at('a')}: no such file`,
      `keys[1].secretFile: ${at('b')}: the secret decodes to 1 bytes; at least 32 are needed for HS256`,
      'log.checks: expected one of "none"|"failures"|"all"',
      'policies.default.mode: expected one of "off"|"observe"|"limit"|"enforce" (set by APPROOV_MODE)',
    ]);
  });

  it('a decryption key that would never be used is an error; with kids of their own, both are', async () => {
    write('one', Buffer.alloc(32, 1).toString('base64'));
    write('two', Buffer.alloc(32, 2).toString('base64'));
    const withKids = (one: string, two: string): string =>
      write(
        'config.yaml',
        `decryptionKeys: [{id: one, secretFile: "${at('one')}"${one}}, {id: two, secretFile: "${at('two')}"${two}}]`,
      );
    const env = { APPROOV_BASE64_SECRET: SECRET };
    expect(await problemsOf(withKids('', ''), env)).toEqual([
      'decryptionKeys: two would never be used: tokens that it opens are decrypted with one; give each a kid',
    ]);
    const { decryptionKeys } = await loadConfig(withKids(', kid: a', ', kid: b'), env);
    expect(decryptionKeys.map(({ id, kid }) => [id, kid])).toEqual([
      ['one', 'a'],
      ['two', 'b'],
    ]);
  });

  it('half of the keys is not enough', async () => {
    write('a', SECRET);
    expect(await problemsOf(writeConfig(['a', 'b']), {})).toEqual([
      `keys[1].secretFile: ${at('b')}: no such file`,
    ]);
  });

  it.each([
    { name: 'is not there', make: () => at('none.yaml'), expected: 'no such file' },
    { name: 'is a folder', make: () => folder, expected: 'is a directory' },
  ])('a configuration file that $name is told: $expected', async ({ make, expected }) => {
    const file = make();
    expect(await problemsOf(file, { APPROOV_BASE64_SECRET: SECRET })).toEqual([
      `configuration file: ${file}: ${expected}`,
    ]);
  });

  it.each([
    { name: 'is not there', make: () => at('absent'), expected: 'no such file' },
    { name: 'is a folder', make: () => folder, expected: 'is a directory' },
    {
      name: 'lies below a file',
      make: () => join(write('plain', ''), 'x'),
      expected: 'a part of the path is not a directory',
    },
    { name: 'has too long a name', make: () => at('x'.repeat(300)), expected: 'too long a name' },
    { name: 'is empty', make: () => write('empty', ''), expected: 'the secret is empty' },
    {
      name: 'holds the bytes and not their base64',
      make: () => write('raw', Buffer.alloc(64, 0xff)),
      expected: 'the secret (64 characters) is neither base64 nor base64url',
    },
  ])('a secret’s file that $name is told: $expected', async ({ make, expected }) => {
    const file = make();
    expect(await problemsOf(undefined, { APPROOV_BASE64_SECRET_FILE: file })).toEqual([
      `APPROOV_BASE64_SECRET_FILE: ${file}: ${expected}`,
    ]);
  });

  it('a secret that stands where the name of its file belongs is never printed', async () => {
    const told = (await problemsOf(undefined, { APPROOV_BASE64_SECRET_FILE: SECRET })).join();
    expect(told).toContain('APPROOV_BASE64_SECRET_FILE');
    for (let from = 0; from + 8 <= SECRET.length; from += 4)
      expect(told).not.toContain(SECRET.slice(from, from + 8));
  });
});

describe('a later look', () => {
  it('finds nothing where nothing has changed', async () => {
    write('a', SECRET);
    const files = await openConfigStore(writeConfig(['a']), {});
    const before = files.current();
    write('a', SECRET);
    expect(await files.refresh(true)).toEqual([]);
    expect(files.current()).toBe(before);
  });

  it.each([
    { name: 'is written in place', change: () => write('a', OTHER_SECRET) },
    { name: 'is replaced by another', change: () => renameSync(write('new', OTHER_SECRET), at('a')) },
  ])('takes a secret whose file $name', async ({ change }) => {
    write('a', SECRET);
    const files = await openConfigStore(writeConfig(['a']), {});
    change();
    expect(await files.refresh(true)).toEqual([{ kind: 'keys', problems: [] }]);
    expect(keysOf(files.current())).toEqual([`a ${OTHER_PRINT}`]);
  });

  it('takes a secret behind a folder that is swapped, as Kubernetes does', async () => {
    for (const [name, secret] of [
      ['v1', SECRET],
      ['v2', OTHER_SECRET],
    ] as const) {
      mkdirSync(at(name));
      write(join(name, 'a'), secret);
    }
    symlinkSync('v1', at('..data'));
    symlinkSync(join('..data', 'a'), at('a'));
    const files = await openConfigStore(writeConfig(['a']), {});
    symlinkSync('v2', at('..data_tmp'));
    renameSync(at('..data_tmp'), at('..data'));
    expect(await files.refresh(true)).toEqual([{ kind: 'keys', problems: [] }]);
    expect(keysOf(files.current())).toEqual([`a ${OTHER_PRINT}`]);
  });

  it.each([
    { name: 'gone', change: () => rmSync(at('a')), message: () => `${at('a')}: no such file` },
    { name: 'empty', change: () => write('a', ''), message: () => `${at('a')}: the secret is empty` },
  ])(
    'keeps a secret whose file is $name, says so once, and takes it when it is good again',
    async (given) => {
      write('a', SECRET);
      const files = await openConfigStore(writeConfig(['a']), {});
      given.change();
      const problem = { path: 'keys[0].secretFile', message: given.message() };
      expect(await files.refresh(true)).toEqual([{ kind: 'keys', problems: [problem] }]);
      expect(await files.refresh(true)).toEqual([]);
      expect(files.problems().get('keys')).toEqual([problem]);
      expect(keysOf(files.current())).toEqual([`a ${PRINT}`]);
      write('a', OTHER_SECRET);
      expect(await files.refresh(true)).toEqual([{ kind: 'keys', problems: [] }]);
      expect(files.problems().get('keys')).toEqual([]);
      expect(keysOf(files.current())).toEqual([`a ${OTHER_PRINT}`]);
    },
  );

  it('takes a changed configuration, its keys included', async () => {
    write('a', SECRET);
    write('b', OTHER_SECRET);
    const files = await openConfigStore(writeConfig(['a']), {});
    writeConfig(['b'], 'policies: {default: {mode: limit}}');
    const outcomes = await files.refresh(true);
    expect(outcomes.map(({ kind, problems }) => [kind, problems])).toContainEqual(['config', []]);
    expect(files.current().config.policyTable.defaultPolicy.mode).toBe('limit');
    expect(keysOf(files.current())).toEqual([`b ${OTHER_PRINT}`]);
  });

  it('keeps the configuration whose file is bad now, and still takes a key that rotates meanwhile', async () => {
    write('a', SECRET);
    const file = writeConfig(['a'], 'log: {level: warn}');
    const files = await openConfigStore(file, {});
    writeFileSync(file, 'log: {level: loud}');
    write('a', OTHER_SECRET);
    expect(await files.refresh(true)).toContainEqual({ kind: 'keys', problems: [] });
    expect(
      files
        .problems()
        .get('config')
        ?.map(({ path }) => path),
    ).toEqual(['log.level', 'keys']);
    expect(files.current().config.settings.log.level).toBe('warn');
    expect(keysOf(files.current())).toEqual([`a ${OTHER_PRINT}`]);
  });

  it('does not take a configuration that names a key which is not there', async () => {
    write('a', SECRET);
    const files = await openConfigStore(writeConfig(['a']), {});
    writeConfig(['a', 'b'], 'policies: {default: {mode: off}}');
    expect(await files.refresh(true)).toEqual([
      { kind: 'config', problems: [{ path: 'keys[1].secretFile', message: `${at('b')}: no such file` }] },
    ]);
    expect(files.current().config.policyTable.defaultPolicy.mode).toBe('enforce');
    write('b', OTHER_SECRET);
    await files.refresh(true);
    expect(files.problems().get('config')).toEqual([]);
    expect(keysOf(files.current())).toEqual([`a ${PRINT}`, `b ${OTHER_PRINT}`]);
  });
});

describe('a refresh by itself, while a file may be half-written', () => {
  let nowMs = 0;
  const clock = (): number => nowMs;
  beforeEach(() => {
    nowMs = 0;
  });

  /** A refresh by the timer, so much later. */
  function refreshAfter(ms: number, files: ConfigStore): Promise<readonly Outcome[]> {
    nowMs += ms;
    return files.refresh(false);
  }

  const modeOf = (files: ConfigStore) => files.current().config.policyTable.defaultPolicy.mode;
  const STRICT = 'policies: {default: {mode: enforce}}\n';

  it('does not take the first half of a configuration, good as it may be', async () => {
    const file = write('policies.yaml', STRICT);
    const files = await openConfigStore(file, { APPROOV_BASE64_SECRET: SECRET }, clock);
    write('policies.yaml', 'policies: {default: {mode: limit}}\n');
    expect(await refreshAfter(5000, files)).toEqual([]);
    write('policies.yaml', 'policies: {default: {mode: limit}}\nroutes: [{policy: default}]\n');
    expect(await refreshAfter(1500, files)).toEqual([]);
    expect(modeOf(files)).toBe('enforce');
    expect(await refreshAfter(999, files)).toEqual([]);
    expect(await refreshAfter(1, files)).toEqual([{ kind: 'config', problems: [] }]);
    expect([modeOf(files), files.current().config.policyTable.routes.length]).toEqual(['limit', 1]);
  });

  it('does not tell of a bad half, nor of a file that is gone for a moment', async () => {
    write('a', SECRET);
    const file = writeConfig(['a']);
    const files = await openConfigStore(file, {}, clock);
    write('config.yaml', 'keys: [');
    rmSync(at('a'));
    expect(await refreshAfter(1500, files)).toEqual([]);
    writeConfig(['a']);
    write('a', SECRET);
    expect(await refreshAfter(1500, files)).toEqual([]);
    expect([...files.problems().values()].flat()).toEqual([]);
  });

  it('takes each file by itself, and does not wait for another', async () => {
    write('a', SECRET);
    const file = writeConfig(['a']);
    const files = await openConfigStore(file, {}, clock);
    write('a', OTHER_SECRET);
    await refreshAfter(1500, files);
    write('config.yaml', 'keys: [');
    expect(await refreshAfter(1500, files)).toEqual([{ kind: 'keys', problems: [] }]);
    expect(keysOf(files.current())).toEqual([`a ${OTHER_PRINT}`]);
    expect(files.problems().get('config')).toEqual([]);
  });

  it('takes a configuration and the key that it names first by the second refresh', async () => {
    write('a', SECRET);
    const files = await openConfigStore(writeConfig(['a']), {}, clock);
    write('b', OTHER_SECRET);
    writeConfig(['a', 'b']);
    expect(await refreshAfter(1500, files)).toEqual([]);
    expect((await refreshAfter(1500, files)).map(({ kind }) => kind)).toContain('config');
    expect(keysOf(files.current())).toEqual([`a ${PRINT}`, `b ${OTHER_PRINT}`]);
  });

  it('waits with a configuration for a key that it names first and that is still written', async () => {
    write('a', SECRET);
    const files = await openConfigStore(writeConfig(['a']), {}, clock);
    writeConfig(['a', 'b']);
    write('b', OTHER_SECRET.slice(0, 44));
    await refreshAfter(1500, files);
    write('b', OTHER_SECRET);
    expect(await refreshAfter(1500, files)).toEqual([]);
    expect(keysOf(files.current())).toEqual([`a ${PRINT}`]);
    await refreshAfter(1500, files);
    expect(keysOf(files.current())).toEqual([`a ${PRINT}`, `b ${OTHER_PRINT}`]);
  });

  it('keeps telling what is wrong with a file while that is written', async () => {
    write('a', SECRET);
    const files = await openConfigStore(writeConfig(['a']), {}, clock);
    write('a', '');
    await refreshAfter(1500, files);
    const [bad] = await refreshAfter(1500, files);
    expect(bad?.problems).toHaveLength(1);
    write('a', OTHER_SECRET);
    expect(await refreshAfter(1500, files)).toEqual([]);
    expect(files.problems().get('keys')).toEqual(bad?.problems);
    expect(await refreshAfter(1500, files)).toEqual([{ kind: 'keys', problems: [] }]);
  });

  it('takes what a link is turned to at once', async () => {
    for (const [name, secret] of Object.entries({ v1: SECRET, v2: OTHER_SECRET })) {
      mkdirSync(at(name));
      write(join(name, 'a'), secret);
    }
    symlinkSync('v1', at('..data'));
    symlinkSync(join('..data', 'a'), at('a'));
    const files = await openConfigStore(writeConfig(['a']), {}, clock);
    symlinkSync('v2', at('..data_tmp'));
    renameSync(at('..data_tmp'), at('..data'));
    expect(await refreshAfter(0, files)).toEqual([{ kind: 'keys', problems: [] }]);
    expect(keysOf(files.current())).toEqual([`a ${OTHER_PRINT}`]);
  });

  it('does not take a plain file that a link was replaced by at once', async () => {
    write('real', SECRET);
    symlinkSync('real', at('a'));
    const files = await openConfigStore(writeConfig(['a']), {}, clock);
    rmSync(at('a'));
    write('a', OTHER_SECRET);
    expect(await refreshAfter(1500, files)).toEqual([]);
    expect(await refreshAfter(1500, files)).toEqual([{ kind: 'keys', problems: [] }]);
  });
});
