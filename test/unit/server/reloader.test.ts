/** Tests that a reload replaces the parts that changed, and no other. */
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import type { OverriddenModes } from '../../../src/config/override-modes.ts';
import { createReloader, type Reloader } from '../../../src/server/reloader.ts';
import { type ConfigStore, openConfigStore } from '../../../src/sources/config-store.ts';
import { type Certificate, createCa, issueCertificate } from '../../support/certificate.ts';
import { OTHER_SECRET, SECRET } from '../../support/token.ts';

let folder = '';
let ca: Certificate;
let files: ConfigStore;
let calls: string[];
let poll: () => Promise<void>;
let reloader: Reloader;
let overridden: OverriddenModes;
/** Of the rules of checks, and in the metrics. */
let mode: string;
let exposedMode: string;

const at = (name: string): string => join(folder, name);
const write = (name: string, content: string): void => writeFileSync(at(name), content);

function writeConfig(rest: object = {}): void {
  const tls = { certFile: at('localhost.crt'), keyFile: at('localhost.key') };
  const keys = [{ id: 'current', secretFile: at('secret') }];
  write('config.yaml', JSON.stringify({ listen: { tls }, keys, ...rest }));
}

beforeEach(async () => {
  folder = mkdtempSync(join(tmpdir(), 'reloader-'));
  ca = createCa(folder, 'ca');
  issueCertificate(folder, 'localhost', ca);
  write('secret', SECRET);
  writeConfig();
  files = await openConfigStore(at('config.yaml'), {});
  calls = [];
  overridden = new Map();
  reloader = createReloader(files.current(), {
    keyStore: {
      keyset: () => ({ keys: files.current().keys.flatMap(({ keys }) => keys ?? []), missing: [] }),
      replaceKeys: () => calls.push('keys'),
      warnings: () =>
        files
          .current()
          .keys.flatMap(({ config, warnings }) =>
            warnings.map((message) => ({ path: config.path, message })),
          ),
    },
    checker: {
      replaceRules({ policyTable }) {
        calls.push('rules');
        mode = policyTable.defaultPolicy.mode;
      },
    },
    log: {
      configure: () => calls.push('log'),
      info: (fields, message) => calls.push(`${message} ${JSON.stringify(fields)}`),
      warn: (fields, message) => calls.push(`${message} ${JSON.stringify(fields)}`),
    },
    metrics: {
      configured({ defaultPolicy }) {
        calls.push('metrics');
        exposedMode = defaultPolicy.mode;
      },
    },
    rollout: { configure: (_, appVersion) => calls.push(`rollout ${appVersion?.header}`) },
    nowSeconds: () => 0,
    useTls: () => calls.push('tls'),
    useReplayStore: (store) => void calls.push(`replay store ${store?.url}`),
    overriddenModes: () => overridden,
  });
  calls.length = 0;
  poll = async () => {
    await files.poll(true);
    reloader.apply(files.current());
  };
});
afterEach(() => rmSync(folder, { recursive: true }));

describe('a reload of', () => {
  test.each<[what: string, change: () => unknown, expected: string[]]>([
    ['a renewed certificate replaces TLS', () => issueCertificate(folder, 'localhost', ca), ['tls']],
    [
      'a new secret replaces keys and rules',
      () => write('secret', OTHER_SECRET),
      ['keys', 'rules', 'metrics'],
    ],
    ['a new log level configures the log', () => writeConfig({ log: { level: 'warn' } }), ['log']],
    [
      'a replay store that was added uses it',
      () => writeConfig({ replayStore: { url: 'redis://127.0.0.1:6379' } }),
      ['replay store redis://127.0.0.1:6379'],
    ],
    ['a new drain delay replaces no part', () => writeConfig({ drain: { delaySeconds: 1 } }), []],
    [
      'a new policy replaces rules',
      () => writeConfig({ policies: { default: { mode: 'limit' } } }),
      ['rules', 'metrics', 'rollout undefined', 'log'],
    ],
    [
      'a header with the app version is decoded, and counted by',
      () => writeConfig({ rollout: { appVersion: { header: 'x-app-version', known: ['7.3'] } } }),
      ['rules', 'rollout x-app-version'],
    ],
    [
      'a new threshold of the rollout replaces no rules',
      () => writeConfig({ rollout: { minChecks: 5 } }),
      ['rollout undefined'],
    ],
    ['a new denied response replaces rules', () => writeConfig({ denied: { body: 'new' } }), ['rules']],
    [
      'a new limit requires a restart',
      () => writeConfig({ limits: { connections: 5 } }),
      ['setting changed; restart required {"field":"limits"}'],
    ],
    [
      'a new log format requires a restart',
      () => writeConfig({ log: { format: 'pretty' } }),
      ['log', 'setting changed; restart required {"field":"log.format"}'],
    ],
    ['an invalid file replaces nothing', () => write('config.yaml', '{'), []],
    ['the same content replaces nothing', () => writeConfig(), []],
  ])('%s', async (_what, change, expected) => {
    change();
    await poll();
    expect(calls).toEqual(expected);
  });

  test('a setting back to its value at start does not require a restart', async () => {
    writeConfig({ limits: { connections: 5 } });
    await poll();
    calls.length = 0;
    writeConfig();
    await poll();
    expect(calls).toEqual([]);
  });

  test('a secret with a warning logs it once', async () => {
    write('secret', Buffer.from(SECRET).toString('base64'));
    await poll();
    writeConfig({ denied: { body: 'new' } });
    await poll();
    expect(calls.filter((call) => call.startsWith('key warning'))).toHaveLength(1);
  });
});

test('a rotated message signing key replaces the rules, and not the keys of tokens', async () => {
  write('account', OTHER_SECRET);
  const messageSigningKeys = [{ id: 'account', mskid: 'j3AWy6', secretFile: at('account') }];
  writeConfig({ messageSigningKeys });
  await poll();
  expect(calls).toEqual(['rules', 'metrics']);
  calls.length = 0;
  write('account', Buffer.alloc(32, 7).toString('base64'));
  await poll();
  expect(calls).toEqual(['rules', 'metrics']);
});

test('an override replaces the rules of checks and the series, and nothing else, and a reload keeps it', async () => {
  overridden = new Map([['default', 'observe']]);
  reloader.useOverrides();
  expect(calls).toEqual(['rules', 'metrics']);
  expect([mode, exposedMode]).toEqual(['observe', 'observe']);
  writeConfig({ policies: { default: { mode: 'limit' } } });
  await poll();
  expect([mode, exposedMode]).toEqual(['observe', 'observe']);
  overridden = new Map();
  reloader.useOverrides();
  expect([mode, exposedMode]).toEqual(['limit', 'limit']);
});
