/** Tests loading and reloading of the configuration and the files that it names. */
import { mkdirSync, mkdtempSync, renameSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { Secret } from '../../../src/approov/secret.ts';
import { ConfigError } from '../../../src/config/config.ts';
import type { Env } from '../../../src/config/env.ts';
import {
  type ConfigStore,
  loadConfig,
  openConfigStore,
  type ReloadOutcome,
} from '../../../src/sources/config-store.ts';
import { type LoadedConfig, otherKeyWarnings } from '../../../src/sources/loaded-config.ts';
import { createCa, issueCertificate } from '../../support/certificate.ts';
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

/** A configuration file with keys whose id is the name of their secret's file. */
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

describe('loadConfig', () => {
  it('needs only a secret in the environment', async () => {
    const loaded = await loadConfig(undefined, { APPROOV_BASE64_SECRET: SECRET });
    expect(loaded.config.policyTable.defaultPolicy).toMatchObject({
      name: 'default',
      mode: 'enforce',
    });
    expect(keysOf(loaded)).toEqual([`env ${PRINT}`]);
  });

  it('needs only a secret in a file that the environment names', async () => {
    const env = { APPROOV_BASE64_SECRET_FILE: write('secret', `${SECRET}\n`) };
    expect(keysOf(await loadConfig(undefined, env))).toEqual([`env ${PRINT}`]);
  });

  it('loads each key of the file from its own file', async () => {
    write('current', SECRET);
    write('next', OTHER_SECRET);
    const loaded = await loadConfig(writeConfig(['current', 'next'], 'log: {level: warn}'), {
      LOG_LEVEL: '',
    });
    expect(loaded.config.settings.log.level).toBe('warn');
    expect(keysOf(loaded)).toEqual([`current ${PRINT}`, `next ${OTHER_PRINT}`]);
  });

  it('combines policies of the file with a key of the environment', async () => {
    const file = write('policies.yaml', 'policies: {default: {mode: limit}}');
    const loaded = await loadConfig(file, { APPROOV_BASE64_SECRET: SECRET });
    expect(loaded.config.policyTable.defaultPolicy.mode).toBe('limit');
    expect(keysOf(loaded)).toEqual([`env ${PRINT}`]);
  });

  it('reports the problems of file, environment and key files together', async () => {
    write('b', 'QQ==');
    const file = writeConfig(['a', 'b'], 'log: {checks: some}\nextra: 1');
    expect((await problemsOf(file, { APPROOV_MODE: 'on' })).sort()).toEqual([
      'APPROOV_MODE: "on" is not a mode (off, observe, limit, enforce)',
      'extra: unknown field',
      `keys[0].secretFile: ${at('a')}: no such file`,
      `keys[1].secretFile: ${at('b')}: the secret decodes to 1 bytes; at least 32 are needed for HS256`,
      'log.checks: "some" is not a value of checks (none, failures, all)',
    ]);
  });

  it('refuses a decryption key that would never be used; with a kid each, both are used', async () => {
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

  it('refuses to load only some of the keys', async () => {
    write('a', SECRET);
    expect(await problemsOf(writeConfig(['a', 'b']), {})).toEqual([
      `keys[1].secretFile: ${at('b')}: no such file`,
    ]);
  });

  it.each([
    { name: 'does not exist', make: () => at('none.yaml'), expected: 'no such file' },
    { name: 'is a folder', make: () => folder, expected: 'is a directory' },
  ])('reports for a configuration file that $name: $expected', async ({ make, expected }) => {
    const file = make();
    expect(await problemsOf(file, { APPROOV_BASE64_SECRET: SECRET })).toEqual([
      `configuration file: ${file}: ${expected}`,
    ]);
  });

  it.each([
    { name: 'does not exist', make: () => at('absent'), expected: 'no such file' },
    { name: 'is a folder', make: () => folder, expected: 'is a directory' },
    {
      name: 'is below a file',
      make: () => join(write('plain', ''), 'x'),
      expected: 'a part of the path is not a directory',
    },
    { name: 'has too long a name', make: () => at('x'.repeat(300)), expected: 'file name too long' },
    { name: 'is empty', make: () => write('empty', ''), expected: 'the secret is empty' },
    {
      name: 'contains bytes instead of base64',
      make: () => write('raw', Buffer.alloc(64, 0xff)),
      expected: 'the secret (64 characters) is neither base64 nor base64url',
    },
  ])('reports for a secret file that $name: $expected', async ({ make, expected }) => {
    const file = make();
    expect(await problemsOf(undefined, { APPROOV_BASE64_SECRET_FILE: file })).toEqual([
      `APPROOV_BASE64_SECRET_FILE: ${file}: ${expected}`,
    ]);
  });

  it('never prints a secret that was set in place of its file name', async () => {
    const messages = (await problemsOf(undefined, { APPROOV_BASE64_SECRET_FILE: SECRET })).join();
    expect(messages).toContain('APPROOV_BASE64_SECRET_FILE');
    for (let from = 0; from + 8 <= SECRET.length; from += 4)
      expect(messages).not.toContain(SECRET.slice(from, from + 8));
  });
});

describe('a requested poll', () => {
  it('changes nothing if no content changed', async () => {
    write('a', SECRET);
    const files = await openConfigStore(writeConfig(['a']), {});
    const before = files.current();
    write('a', SECRET);
    expect(await files.poll(true)).toEqual([]);
    expect(files.current()).toBe(before);
  });

  it.each([
    { name: 'is written in place', change: () => write('a', OTHER_SECRET) },
    { name: 'is replaced by another', change: () => renameSync(write('new', OTHER_SECRET), at('a')) },
  ])('loads a secret whose file $name', async ({ change }) => {
    write('a', SECRET);
    const files = await openConfigStore(writeConfig(['a']), {});
    change();
    expect(await files.poll(true)).toEqual([{ source: 'keys', problems: [] }]);
    expect(keysOf(files.current())).toEqual([`a ${OTHER_PRINT}`]);
  });

  it('loads a secret behind a folder that is swapped, as Kubernetes does', async () => {
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
    expect(await files.poll(true)).toEqual([{ source: 'keys', problems: [] }]);
    expect(keysOf(files.current())).toEqual([`a ${OTHER_PRINT}`]);
  });

  it.each([
    { name: 'missing', change: () => rmSync(at('a')), message: () => `${at('a')}: no such file` },
    { name: 'empty', change: () => write('a', ''), message: () => `${at('a')}: the secret is empty` },
  ])('keeps a secret whose file is $name, reports it once, and loads the next good one', async (given) => {
    write('a', SECRET);
    const file = writeConfig(['a']);
    const files = await openConfigStore(file, {});
    given.change();
    const problem = { place: `${file}:1:28`, path: 'keys[0].secretFile', message: given.message() };
    expect(await files.poll(true)).toEqual([{ source: 'keys', problems: [problem] }]);
    expect(await files.poll(true)).toEqual([]);
    expect(files.currentProblems().get('keys')).toEqual([problem]);
    expect(keysOf(files.current())).toEqual([`a ${PRINT}`]);
    write('a', OTHER_SECRET);
    expect(await files.poll(true)).toEqual([{ source: 'keys', problems: [] }]);
    expect(files.currentProblems().get('keys')).toEqual([]);
    expect(keysOf(files.current())).toEqual([`a ${OTHER_PRINT}`]);
  });

  it('loads a changed configuration with its keys', async () => {
    write('a', SECRET);
    write('b', OTHER_SECRET);
    const files = await openConfigStore(writeConfig(['a']), {});
    writeConfig(['b'], 'policies: {default: {mode: limit}}');
    const outcomes = await files.poll(true);
    expect(outcomes.map(({ source, problems }) => [source, problems])).toContainEqual(['config', []]);
    expect(files.current().config.policyTable.defaultPolicy.mode).toBe('limit');
    expect(keysOf(files.current())).toEqual([`b ${OTHER_PRINT}`]);
  });

  it('keeps the configuration if its file is bad, and still loads a rotated key', async () => {
    write('a', SECRET);
    const file = writeConfig(['a'], 'log: {level: warn}');
    const files = await openConfigStore(file, {});
    writeFileSync(file, 'log: {level: loud}');
    write('a', OTHER_SECRET);
    expect(await files.poll(true)).toContainEqual({ source: 'keys', problems: [] });
    expect(
      files
        .currentProblems()
        .get('config')
        ?.map(({ path }) => path),
    ).toEqual(['log.level', 'keys']);
    expect(files.current().config.settings.log.level).toBe('warn');
    expect(keysOf(files.current())).toEqual([`a ${OTHER_PRINT}`]);
  });

  it.each([
    { name: 'has 20,000 faults', text: `a: [${','.repeat(20_000)}` },
    { name: 'has 10,000 duplicate keys', text: `{${'a,'.repeat(10_000)}}` },
    {
      name: 'has 4,000 unknown fields',
      text: Array.from({ length: 4000 }, (_, n) => `x${n}: 1\n`).join(''),
    },
    { name: 'has 10,000 invalid routes', text: `routes: [${'{},'.repeat(10_000)}]` },
    { name: 'is over the size limit', text: `# ${'x'.repeat(128 * 1024)}` },
    { name: 'opens 128,000 lists', text: '['.repeat(128_000) },
  ])('reports a configuration that $name once, and in few lines', async ({ text }) => {
    write('a', SECRET);
    const file = writeConfig(['a']);
    const files = await openConfigStore(file, {});
    writeFileSync(file, text);
    const outcomes = await files.poll(true);
    expect(outcomes.map(({ source }) => source)).toEqual(['config']);
    expect(JSON.stringify(outcomes).length).toBeLessThan(4096);
    expect(JSON.stringify(outcomes)).not.toContain('internal error');
    expect(await files.poll(true)).toEqual([]);
    expect(JSON.stringify([...files.currentProblems()]).length).toBeLessThan(4096);
    expect(keysOf(files.current())).toEqual([`a ${PRINT}`]);
    expect((await problemsOf(file, {})).length).toBeLessThan(22);
    write('a', OTHER_SECRET);
    writeConfig(['a']);
    await files.poll(true);
    expect(keysOf(files.current())).toEqual([`a ${OTHER_PRINT}`]);
  });

  it('reports an exception while loading once, and loads the next configuration', async () => {
    write('a', SECRET);
    const files = await openConfigStore(writeConfig(['a']), {});
    const parse = vi.spyOn(Secret, 'parse').mockImplementation(() => {
      throw new RangeError(SECRET);
    });
    write('a', OTHER_SECRET);
    const outcomes = await files.poll(true);
    expect(outcomes).toMatchObject([
      { source: 'config', problems: [{ message: expect.stringMatching(/^internal error: RangeError at /) }] },
    ]);
    expect(JSON.stringify(outcomes)).not.toContain(SECRET);
    expect(await files.poll(true)).toEqual([]);
    expect(parse).toHaveBeenCalledTimes(1);
    parse.mockRestore();
    writeConfig(['a'], 'log: {level: warn}');
    await files.poll(true);
    expect(files.currentProblems().get('config')).toEqual([]);
    expect(keysOf(files.current())).toEqual([`a ${OTHER_PRINT}`]);
  });

  it('does not load a configuration that names a missing key file', async () => {
    write('a', SECRET);
    const files = await openConfigStore(writeConfig(['a']), {});
    writeConfig(['a', 'b'], 'policies: {default: {mode: off}}');
    expect(await files.poll(true)).toEqual([
      {
        source: 'config',
        problems: [
          {
            place: expect.stringMatching(/config\.yaml:1:\d+$/),
            path: 'keys[1].secretFile',
            message: `${at('b')}: no such file`,
          },
        ],
      },
    ]);
    expect(files.current().config.policyTable.defaultPolicy.mode).toBe('enforce');
    write('b', OTHER_SECRET);
    await files.poll(true);
    expect(files.currentProblems().get('config')).toEqual([]);
    expect(keysOf(files.current())).toEqual([`a ${PRINT}`, `b ${OTHER_PRINT}`]);
  });
});

describe('after a reload, what did not change is the same object', () => {
  const ca = () => createCa(folder, 'ca');

  /** TLS, a key file, a secret of the environment or a file, and a policy. */
  async function openWithTls(): Promise<{ files: ConfigStore; renew: () => void; rest: string }> {
    const issue = () => issueCertificate(folder, 'localhost', ca());
    const { certFile, keyFile } = issue();
    write('a', SECRET);
    const rest = `listen: {tls: {certFile: "${certFile}", keyFile: "${keyFile}"}}`;
    const files = await openConfigStore(writeConfig(['a'], rest), {});
    return { files, renew: () => void issue(), rest };
  }

  it('a renewed certificate replaces TLS only', async () => {
    const { files, renew } = await openWithTls();
    const before = files.current();
    renew();
    expect(await files.poll(true)).toEqual([{ source: 'tls', problems: [] }]);
    const { config, keys, decryptionKeys, tls } = files.current();
    expect([config, keys, decryptionKeys]).toEqual([before.config, before.keys, before.decryptionKeys]);
    expect(config).toBe(before.config);
    expect(keys).toBe(before.keys);
    expect(decryptionKeys).toBe(before.decryptionKeys);
    expect(tls).not.toBe(before.tls);
  });

  it('a new log level replaces neither keys, TLS nor policies', async () => {
    const { files, rest } = await openWithTls();
    const before = files.current();
    writeConfig(['a'], `${rest}\nlog: {level: warn}`);
    expect(await files.poll(true)).toEqual([{ source: 'config', problems: [] }]);
    const { config, keys, tls } = files.current();
    expect(config.settings.log.level).toBe('warn');
    expect(config.policyTable).toBe(before.config.policyTable);
    expect(keys).toBe(before.keys);
    expect(tls).toBe(before.tls);
  });

  it('a new policy replaces the policy table, but not a secret of the environment', async () => {
    const file = write('policies.yaml', '');
    const files = await openConfigStore(file, { APPROOV_BASE64_SECRET: SECRET });
    const before = files.current();
    write('policies.yaml', 'policies: {default: {mode: limit}}');
    expect(await files.poll(true)).toEqual([{ source: 'config', problems: [] }]);
    expect(files.current().config.policyTable).not.toBe(before.config.policyTable);
    expect(files.current().keys).toBe(before.keys);
  });

  it('a new key replaces the list of keys, but not the other key', async () => {
    write('a', SECRET);
    write('b', OTHER_SECRET);
    const files = await openConfigStore(writeConfig(['a']), {});
    const before = files.current();
    writeConfig(['a', 'b']);
    await files.poll(true);
    expect(files.current().keys).not.toBe(before.keys);
    expect(files.current().keys[0]).toBe(before.keys[0]);
    expect(files.current().config.policyTable).toBe(before.config.policyTable);
  });
});

describe('a poll by the timer', () => {
  let nowMs = 0;
  const clock = (): number => nowMs;
  beforeEach(() => {
    nowMs = 0;
  });

  /** A poll by the timer. */
  function pollAfter(ms: number, files: ConfigStore): Promise<readonly ReloadOutcome[]> {
    nowMs += ms;
    return files.poll(false);
  }

  const modeOf = (files: ConfigStore) => files.current().config.policyTable.defaultPolicy.mode;
  const STRICT = 'policies: {default: {mode: enforce}}\n';

  it('does not load half of a configuration, even if it is valid', async () => {
    const file = write('policies.yaml', STRICT);
    const files = await openConfigStore(file, { APPROOV_BASE64_SECRET: SECRET }, clock);
    write('policies.yaml', 'policies: {default: {mode: limit}}\n');
    expect(await pollAfter(5000, files)).toEqual([]);
    write('policies.yaml', 'policies: {default: {mode: limit}}\nroutes: [{policy: default}]\n');
    expect(await pollAfter(1500, files)).toEqual([]);
    expect(modeOf(files)).toBe('enforce');
    expect(await pollAfter(999, files)).toEqual([]);
    expect(await pollAfter(1, files)).toEqual([{ source: 'config', problems: [] }]);
    expect([modeOf(files), files.current().config.policyTable.routes.length]).toEqual(['limit', 1]);
  });

  it('names the files that changed, also while it waits for them to be complete', async () => {
    write('a', SECRET);
    const file = writeConfig(['a']);
    const files = await openConfigStore(file, {}, clock);
    expect(await pollAfter(1500, files)).toEqual([]);
    expect(files.changedFiles()).toEqual([]);
    write('a', OTHER_SECRET);
    writeConfig(['a'], STRICT);
    expect(await pollAfter(1500, files)).toEqual([]);
    expect(files.changedFiles()).toEqual([file, at('a')]);
    expect(await pollAfter(1500, files)).toHaveLength(2);
    expect(files.changedFiles()).toEqual([file, at('a')]);
    expect(await pollAfter(1500, files)).toEqual([]);
    expect(files.changedFiles()).toEqual([]);
  });

  it('does not report a half-written file, nor one that is missing for a moment', async () => {
    write('a', SECRET);
    const file = writeConfig(['a']);
    const files = await openConfigStore(file, {}, clock);
    write('config.yaml', 'keys: [');
    rmSync(at('a'));
    expect(await pollAfter(1500, files)).toEqual([]);
    writeConfig(['a']);
    write('a', SECRET);
    expect(await pollAfter(1500, files)).toEqual([]);
    expect([...files.currentProblems().values()].flat()).toEqual([]);
  });

  it('loads each file on its own, without waiting for another', async () => {
    write('a', SECRET);
    const file = writeConfig(['a']);
    const files = await openConfigStore(file, {}, clock);
    write('a', OTHER_SECRET);
    await pollAfter(1500, files);
    write('config.yaml', 'keys: [');
    expect(await pollAfter(1500, files)).toEqual([{ source: 'keys', problems: [] }]);
    expect(keysOf(files.current())).toEqual([`a ${OTHER_PRINT}`]);
    expect(files.currentProblems().get('config')).toEqual([]);
  });

  it('loads a configuration and its new key by the second poll', async () => {
    write('a', SECRET);
    const files = await openConfigStore(writeConfig(['a']), {}, clock);
    write('b', OTHER_SECRET);
    writeConfig(['a', 'b']);
    expect(await pollAfter(1500, files)).toEqual([]);
    expect((await pollAfter(1500, files)).map(({ source }) => source)).toContain('config');
    expect(keysOf(files.current())).toEqual([`a ${PRINT}`, `b ${OTHER_PRINT}`]);
  });

  it('waits with a configuration for its new key, which may be half-written', async () => {
    write('a', SECRET);
    const files = await openConfigStore(writeConfig(['a']), {}, clock);
    writeConfig(['a', 'b']);
    write('b', OTHER_SECRET.slice(0, 44));
    await pollAfter(1500, files);
    write('b', OTHER_SECRET);
    expect(await pollAfter(1500, files)).toEqual([]);
    expect(keysOf(files.current())).toEqual([`a ${PRINT}`]);
    await pollAfter(1500, files);
    expect(keysOf(files.current())).toEqual([`a ${PRINT}`, `b ${OTHER_PRINT}`]);
  });

  it('keeps the problem of a file while the file may be half-written', async () => {
    write('a', SECRET);
    const files = await openConfigStore(writeConfig(['a']), {}, clock);
    write('a', '');
    await pollAfter(1500, files);
    const [bad] = await pollAfter(1500, files);
    expect(bad?.problems).toHaveLength(1);
    write('a', OTHER_SECRET);
    expect(await pollAfter(1500, files)).toEqual([]);
    expect(files.currentProblems().get('keys')).toEqual(bad?.problems);
    expect(await pollAfter(1500, files)).toEqual([{ source: 'keys', problems: [] }]);
  });

  it('loads the new target of a symbolic link at once', async () => {
    for (const [name, secret] of Object.entries({ v1: SECRET, v2: OTHER_SECRET })) {
      mkdirSync(at(name));
      write(join(name, 'a'), secret);
    }
    symlinkSync('v1', at('..data'));
    symlinkSync(join('..data', 'a'), at('a'));
    const files = await openConfigStore(writeConfig(['a']), {}, clock);
    symlinkSync('v2', at('..data_tmp'));
    renameSync(at('..data_tmp'), at('..data'));
    expect(await pollAfter(0, files)).toEqual([{ source: 'keys', problems: [] }]);
    expect(keysOf(files.current())).toEqual([`a ${OTHER_PRINT}`]);
  });

  it('does not load a plain file that replaced a symbolic link at once', async () => {
    write('real', SECRET);
    symlinkSync('real', at('a'));
    const files = await openConfigStore(writeConfig(['a']), {}, clock);
    rmSync(at('a'));
    write('a', OTHER_SECRET);
    expect(await pollAfter(1500, files)).toEqual([]);
    expect(await pollAfter(1500, files)).toEqual([{ source: 'keys', problems: [] }]);
  });
});

describe('message signing keys and the replay store', () => {
  const CREDENTIALS = ['usernameFile', 'passwordFile'] as const;

  function writeSigned(mskid = 'j3AWy6'): string {
    const store = CREDENTIALS.map((field) => `${field}: "${at(field)}"`).join(', ');
    return writeConfig(
      ['a'],
      `messageSigningKeys: [{id: account, mskid: ${mskid}, secretFile: "${at('account')}"}]
replayStore: {url: "redis://redis:6379", ${store}}`,
    );
  }

  beforeEach(() => {
    write('a', SECRET);
    write('account', OTHER_SECRET);
    for (const field of CREDENTIALS) write(field, `${field}\n`);
  });

  it('are loaded from their files', async () => {
    const { messageSigningKeys, replayStore } = await loadConfig(writeSigned(), {});
    expect(messageSigningKeys).toMatchObject([{ id: 'account', mskid: 'j3AWy6', fingerprint: OTHER_PRINT }]);
    expect(replayStore).toEqual({
      url: 'redis://redis:6379',
      timeoutMs: 20,
      onError: 'deny',
      ca: undefined,
      username: 'usernameFile',
      password: 'passwordFile',
    });
  });

  it('are replaced by a reload of their own files, and nothing else is', async () => {
    const files = await openConfigStore(writeSigned(), {});
    const before = files.current();
    write('account', SECRET);
    expect(await files.poll(true)).toEqual([{ source: 'keys', problems: [] }]);
    const rotated = files.current();
    expect(rotated.messageSigningKeys).toMatchObject([{ id: 'account', fingerprint: PRINT }]);
    expect([rotated.keys, rotated.replayStore]).toEqual([before.keys, before.replayStore]);
    expect(rotated.keys).toBe(before.keys);
    expect(rotated.replayStore).toBe(before.replayStore);
    write('passwordFile', 'another');
    await files.poll(true);
    expect(files.current().replayStore).toMatchObject({ password: 'another' });
    expect(files.current().messageSigningKeys).toBe(rotated.messageSigningKeys);
  });

  it('keep their last good state if a file is bad', async () => {
    const files = await openConfigStore(writeSigned(), {});
    const before = files.current();
    write('account', 'not a key');
    write('passwordFile', '');
    const [outcome] = await files.poll(true);
    expect(outcome?.problems.map(({ path, message }) => `${path}: ${message}`)).toEqual([
      `messageSigningKeys[0].secretFile: ${at('account')}: the secret (9 characters) is neither base64 nor base64url; it has white space inside: give the secret alone, on one line`,
      `replayStore.passwordFile: ${at('passwordFile')}: the file is empty`,
    ]);
    expect(files.current().messageSigningKeys).toBe(before.messageSigningKeys);
    expect(files.current().replayStore).toBe(before.replayStore);
  });

  it('are warned about if the account key is the secret of tokens', async () => {
    write('account', SECRET);
    expect(otherKeyWarnings(await loadConfig(writeSigned(), {}))).toEqual([
      {
        path: 'messageSigningKeys[0].secretFile',
        message: 'is the same secret as key a: Approov signs tokens and messages with different ones',
      },
    ]);
  });
});
