/** Tests the descriptions of a configuration and of its changes for the log. */
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { describeChanges, keyChanges, summarizeConfig } from '../../../src/server/describe-config.ts';
import { loadConfig } from '../../../src/sources/config-store.ts';
import type { LoadedConfig } from '../../../src/sources/loaded-config.ts';
import { OTHER_SECRET, SECRET } from '../../support/token.ts';

let folder = '';
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'describe-config-'));
  writeFileSync(join(folder, 'secret'), SECRET);
  writeFileSync(join(folder, 'other'), OTHER_SECRET);
  writeFileSync(join(folder, 'wrapping'), Buffer.alloc(32, 7).toString('base64'));
});
afterEach(() => rmSync(folder, { recursive: true }));

/** Loads a configuration with one key, unless `rest` has others. */
function load(rest: object): Promise<LoadedConfig> {
  const keys = [{ id: 'current', secretFile: at('secret') }];
  writeFileSync(join(folder, 'config.yaml'), JSON.stringify({ keys, ...rest }));
  return loadConfig(join(folder, 'config.yaml'), {});
}
const at = (name: string): string => join(folder, name);

describe('a change of the configuration', () => {
  test.each<[what: string, before: object, next: object, expected: string[]]>([
    ['of nothing is empty', {}, {}, []],
    [
      'of a mode has both modes',
      { policies: { default: { mode: 'observe' } } },
      { policies: { default: { mode: 'limit' } } },
      ['policy default: observe -> limit'],
    ],
    [
      'of policies names those added and removed, and the default',
      { defaultPolicy: 'a', policies: { a: {} } },
      { defaultPolicy: 'b', policies: { b: { mode: 'off' } } },
      ['policy a: removed', 'policy b: added, off', 'defaultPolicy: a -> b'],
    ],
    [
      'of routes and responses is named without values',
      {},
      { routes: [{ pathPrefix: '/a', policy: 'default' }], denied: { body: 'planted' } },
      ['routes changed', 'denied changed'],
    ],
    [
      'of numbers and words has their values',
      { drain: { delaySeconds: 1 }, log: { level: 'info' } },
      { drain: { delaySeconds: 2 }, log: { level: 'debug' }, tokenCache: { maxEntries: 0 } },
      ['log.level: info -> debug', 'tokenCache.maxEntries: 10000 -> 0', 'drain.delaySeconds: 1 -> 2'],
    ],
    [
      'of a policy’s response is named',
      {},
      { policies: { default: { denied: { body: 'x' } } } },
      ['policy default: denied changed'],
    ],
  ])('%s', async (_what, before, next, expected) => {
    expect(describeChanges(await load(before), await load(next)).config).toEqual(expected);
  });

  test('of a key’s kid or file counts as the configuration’s, of its secret as the keys’', async () => {
    const key = { id: 'current', secretFile: at('secret') };
    const changes = describeChanges(
      await load({ keys: [key] }),
      await load({ keys: [{ ...key, kid: 'k', secretFile: at('other') }] }),
    );
    expect(changes.config).toEqual(['key current: kid changed', 'key current: location changed']);
    expect(changes.keys).toEqual([expect.stringMatching(/^key current: [0-9a-f]{12} -> [0-9a-f]{12}$/)]);
  });

  test('adds decryption keys and URLs by id', async () => {
    const changes = describeChanges(
      await load({}),
      await load({
        keys: [
          { id: 'current', secretFile: at('secret') },
          { id: 'remote', jwksUrl: 'https://keys.example.com/a?planted' },
        ],
        decryptionKeys: [{ id: 'jwe', secretFile: at('wrapping'), keyManagementAlgorithms: ['A256KW'] }],
      }),
    );
    expect(changes).toEqual({
      config: ['key remote: added'],
      keys: [expect.stringMatching(/^decryption key jwe: added [0-9a-f]{12}$/)],
      jwks: [],
      tls: [],
    });
  });
});

test('the summary of a configuration has modes and fingerprints, and a key at a URL by its id', async () => {
  const keys = [
    { id: 'current', secretFile: at('secret') },
    { id: 'remote', jwksUrl: 'https://keys.example.com/a?planted' },
  ];
  expect(summarizeConfig(await load({ keys, policies: { default: { mode: 'limit' } } }))).toEqual({
    policies: { default: 'limit' },
    keys: [
      { id: 'current', kid: undefined, fingerprint: expect.stringMatching(/^[0-9a-f]{12}$/) },
      { id: 'remote' },
    ],
    decryption_keys: undefined,
  });
});

const key = (id: string, fingerprint?: string) => ({ id, fingerprint });

describe('a change of keys', () => {
  test.each([
    ['that are the same is empty', [key('a', '1')], [key('a', '1')], []],
    ['that only adds one names it', [], [key('a', '1')], ['key a: added 1']],
    ['that only removes one names it', [key('a', '1')], [], ['key a: removed 1']],
    ['that replaces a secret has both fingerprints', [key('a', '1')], [key('a', '2')], ['key a: 1 -> 2']],
    [
      'in a JWK Set has the fingerprints that differ',
      [key('a', '1'), key('a', '2')],
      [key('a', '2'), key('a', '3'), key('a', '4')],
      ['key a: added 3 4', 'key a: removed 1'],
    ],
    ['that adds a URL has no fingerprint yet', [], [key('a')], ['key a: added']],
    ['that are fetched for the first time', [key('a')], [key('a', '1')], ['key a: added 1']],
  ])('%s', (_what, before, next, expected) => {
    expect(keyChanges(before, next)).toEqual(expected);
  });
});
