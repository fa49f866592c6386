/** Tests the descriptions of a configuration and of its changes for the log. */
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { Secret } from '../../../src/approov/secret.ts';
import { describeChanges, keyChanges, summarizeConfig } from '../../../src/server/describe-config.ts';
import { loadConfig } from '../../../src/sources/config-store.ts';
import type { LoadedConfig } from '../../../src/sources/loaded-config.ts';
import { createCa, issueCertificate } from '../../support/certificate.ts';
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
      'of a share of devices has both shares',
      {
        policies: {
          default: { enforcePercent: 10 },
          other: { mode: 'observe' },
          all: { enforcePercent: 50 },
        },
      },
      { policies: { default: { enforcePercent: 25 }, other: { enforcePercent: 1 }, all: {} } },
      [
        'policy default: enforce 10 % -> enforce 25 %',
        'policy other: observe -> enforce 1 %',
        'policy all: enforce 50 % -> enforce',
      ],
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
      { drain: { delaySeconds: 2 }, log: { level: 'debug', format: 'json' }, tokenCache: { maxEntries: 0 } },
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

  test('of message signing keys and the replay store names ids and fingerprints, and no address', async () => {
    const account = { id: 'account', mskid: 'a', secretFile: at('secret') };
    const replayStore = { url: 'redis://planted' };
    const changes = describeChanges(
      await load({ messageSigningKeys: [account, { ...account, id: 'old', mskid: 'o' }] }),
      await load({ messageSigningKeys: [{ ...account, mskid: 'b', secretFile: at('other') }], replayStore }),
    );
    expect(changes.config).toEqual(['replayStore changed', 'message signing key account: mskid changed']);
    expect(changes.keys).toEqual([
      expect.stringMatching(/^message signing key account: [0-9a-f]{12} -> [0-9a-f]{12}$/),
      expect.stringMatching(/^message signing key old: removed [0-9a-f]{12}$/),
    ]);
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

test('a renewed certificate and another caFile are changes of TLS', async () => {
  const ca = createCa(folder, 'ca');
  issueCertificate(folder, 'localhost', ca);
  writeFileSync(at('bundle'), readFileSync(ca.certFile));
  const rest = {
    listen: { tls: { certFile: at('localhost.crt'), keyFile: at('localhost.key') } },
    keys: [
      { id: 'current', secretFile: at('secret') },
      { id: 'remote', jwksUrl: 'https://keys.example.com', caFile: at('bundle') },
    ],
  };
  const before = await load(rest);
  issueCertificate(folder, 'localhost', ca);
  writeFileSync(at('bundle'), readFileSync(createCa(folder, 'other').certFile));
  const { config, tls } = describeChanges(before, await load(rest));
  expect(config).toEqual([]);
  expect(tls).toEqual([
    'listen.tls.certFile changed',
    'listen.tls.keyFile changed',
    'key remote: caFile changed',
  ]);
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

test('the summary has message signing keys by id, mskid and fingerprint, and hides a key pasted as the mskid', async () => {
  const account = { id: 'account', mskid: 'j3AWy6', secretFile: at('secret') };
  const pasted = { id: 'pasted', mskid: OTHER_SECRET, secretFile: at('other') };
  const { message_signing_keys } = summarizeConfig(await load({ messageSigningKeys: [account, pasted] }));
  expect(message_signing_keys).toEqual([
    { id: 'account', mskid: 'j3AWy6', fingerprint: Secret.parse(SECRET).fingerprint },
    {
      id: 'pasted',
      mskid: '[hidden: it looks like a secret]',
      fingerprint: Secret.parse(OTHER_SECRET).fingerprint,
    },
  ]);
});
