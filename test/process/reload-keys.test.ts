/** Tests reloads of key files in a running process. */
import { mkdirSync, renameSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { CompactEncrypt } from 'jose';
import { afterAll, beforeEach, describe, expect, test, vi } from 'vitest';
import { readReadyz } from '../support/admin-pages.ts';
import { createScratch } from '../support/checked-service.ts';
import { createCheckClient, metadataOf, requestWith } from '../support/grpc-client.ts';
import { createKeyPair, jwkSet } from '../support/key-pair.ts';
import { PATIENCE } from '../support/patience.ts';
import { startServe } from '../support/process.ts';
import { type ResettableService, shareService } from '../support/resettable-service.ts';
import { freshToken, OTHER_SECRET, OTHER_SECRET_BYTES, SECRET, SECRET_BYTES } from '../support/token.ts';

const scratch = createScratch('reload');
afterAll(() => scratch.remove());

const OLD = { secret: SECRET_BYTES };
const NEW = { secret: OTHER_SECRET_BYTES };

const shared = shareService(scratch);
let service: ResettableService;
beforeEach(() => {
  scratch.write('old', SECRET);
  scratch.write('new', OTHER_SECRET);
});
afterAll(() => shared.stop());

const keyOf = (id: string, secretFile: string): object => ({ id, secretFile });

async function start(keys: readonly object[], more: object = {}): Promise<void> {
  service = await shared.start({ keys, ...more });
}

function expectReason(token: string, reason: string): Promise<unknown> {
  return vi.waitFor(async () => expect(await service.reasonOf(token)).toBe(reason), PATIENCE);
}

/** Waits until the service has read every file, by changing a setting that no test depends on. */
let polls = 0;
async function waitForPoll(keys: readonly object[]): Promise<void> {
  polls += 1;
  const series = 'approov_reloads_total{source="config",outcome="success"}';
  const before = (await service.metric(series)) ?? 0;
  service.writeConfig({ keys, denied: { body: `poll ${polls}` } });
  service.signal('SIGHUP');
  await vi.waitFor(async () => expect(await service.metric(series)).toBeGreaterThan(before), PATIENCE);
}

test('a secret that was probably encoded twice is warned about once, whether at start or later', async () => {
  const secretFile = scratch.write('twice', Buffer.from(SECRET).toString('base64'));
  const later = scratch.write('later', SECRET);
  const keys = [keyOf('twice', secretFile), keyOf('later', later)];
  const warnings = () =>
    service.logLines().flatMap(({ warning }) => (warning === undefined ? [] : [warning]));
  const warning =
    'secretFile: the secret decodes to text that is itself base64: it was probably encoded twice; decode it once';
  await shared.stop();
  await start(keys);
  await vi.waitFor(() => expect(warnings()).toEqual([`keys[0].${warning}`]), PATIENCE);
  scratch.write('later', Buffer.from(OTHER_SECRET).toString('base64'));
  await waitForPoll(keys);
  await vi.waitFor(() => expect(warnings()).toEqual([`keys[0].${warning}`, `keys[1].${warning}`]), PATIENCE);
});

describe('a secret is reloaded when it is', () => {
  interface Way {
    readonly name: string;
    /** Creates the file for the start; @returns its path. */
    create(folder: string): string;
    replace(folder: string): void;
  }
  const WAYS: readonly Way[] = [
    {
      name: 'rewritten in place',
      create: (folder) => write(join(folder, 'secret'), SECRET),
      replace: (folder) => void write(join(folder, 'secret'), OTHER_SECRET),
    },
    {
      name: 'replaced by rename',
      create: (folder) => write(join(folder, 'secret'), SECRET),
      replace: (folder) =>
        renameSync(write(join(folder, '.secret.tmp'), OTHER_SECRET), join(folder, 'secret')),
    },
    {
      name: 'swapped behind ..data, as Kubernetes does it',
      create(folder) {
        mkdirSync(join(folder, '..2026_01'));
        write(join(folder, '..2026_01', 'secret'), SECRET);
        symlinkSync('..2026_01', join(folder, '..data'));
        symlinkSync('..data/secret', join(folder, 'secret'));
        return join(folder, 'secret');
      },
      replace(folder) {
        mkdirSync(join(folder, '..2026_02'));
        write(join(folder, '..2026_02', 'secret'), OTHER_SECRET);
        symlinkSync('..2026_02', join(folder, '..data_tmp'));
        renameSync(join(folder, '..data_tmp'), join(folder, '..data'));
        rmSync(join(folder, '..2026_01'), { recursive: true });
      },
    },
  ];

  function write(file: string, content: string): string {
    writeFileSync(file, content);
    return file;
  }

  for (const [index, { name, create, replace }] of WAYS.entries()) {
    for (const how of ['by the poller', 'on SIGHUP']) {
      test(`${name}: ${how}`, async () => {
        const folder = scratch.path(`${index}-${how}`);
        mkdirSync(folder);
        await start([keyOf('current', create(folder))]);
        const [old, next] = [freshToken({}, OLD), freshToken({}, NEW)];
        expect([await service.reasonOf(old), await service.reasonOf(next)]).toEqual([
          'ok',
          'invalid_token_signature',
        ]);
        replace(folder);
        if (how === 'on SIGHUP') service.signal('SIGHUP');
        await expectReason(next, 'ok');
        // It was cached, but its key has been replaced.
        expect(await service.reasonOf(old)).toBe('invalid_token_signature');
        expect(await service.counted('approov_reloads_total{source="keys",outcome="success"}')).toBe(1);
        expect(await service.counted('approov_reloads_total{source="keys",outcome="failure"}')).toBe(0);
        expect(service.newLines()).toContainEqual(
          expect.objectContaining({ level: 'info', source: 'keys', msg: 'reloaded' }),
        );
      });
    }
  }

  test('replaced, though the environment names its file', async () => {
    const file = scratch.write('from-env', SECRET);
    const running = await startServe({ APPROOV_BASE64_SECRET_FILE: file });
    const client = createCheckClient(running.grpc);
    try {
      scratch.write('from-env', OTHER_SECRET);
      await vi.waitFor(async () => {
        const answer = await client.check(requestWith({ 'approov-token': freshToken({}, NEW) }));
        expect(metadataOf(answer)['approov_reason']).toBe('ok');
      }, PATIENCE);
    } finally {
      client.close();
      await running.kill();
    }
  });
});

describe('a secret that cannot be used', () => {
  const file = (): string => scratch.path('secret');
  const configured = [keyOf('current', scratch.path('secret'))];
  const clear = (): void => rmSync(file(), { recursive: true, force: true });

  function makeFolder(): void {
    clear();
    mkdirSync(file());
  }

  test.each<[what: string, breakIt: () => unknown, problem: string]>([
    ['missing', clear, 'no such file'],
    ['empty', () => scratch.write('secret', ''), 'the secret is empty'],
    [
      'not base64',
      () => scratch.write('secret', '?'),
      'the secret (1 characters) is neither base64 nor base64url',
    ],
    [
      'too short',
      () => scratch.write('secret', 'c2hvcnQ='),
      'the secret decodes to 5 bytes; at least 32 are needed for HS256',
    ],
    ['a folder', makeFolder, 'is a directory'],
  ])(
    'because it is %s keeps the last good state, and is logged once, counted once and shown until it is fixed',
    async (_what, breakIt, problem) => {
      clear();
      scratch.write('secret', SECRET);
      await start(configured);
      const cached = freshToken({}, OLD);
      expect(await service.reasonOf(cached)).toBe('ok');
      breakIt();
      const message = expect.stringContaining(`${file()}: ${problem}`);
      service.signal('SIGHUP');
      await vi.waitFor(async () => {
        const { components } = await readReadyz(service.admin);
        expect(components.files).toMatchObject({ config: 'ok', keys: [message] });
      }, PATIENCE);
      await waitForPoll(configured);
      await waitForPoll(configured);
      expect(await readReadyz(service.admin)).toMatchObject({
        status: 200,
        components: { files: { keys: [message] } },
      });
      expect([await service.reasonOf(cached), await service.reasonOf(freshToken({}, OLD))]).toEqual([
        'ok',
        'ok',
      ]);
      expect(service.newLines().filter(({ level }) => level === 'error')).toEqual([
        expect.objectContaining({
          source: 'keys',
          path: 'keys[0].secretFile',
          problem: message,
          msg: 'reload failed; keeping last good state',
        }),
      ]);
      expect(await reloads()).toEqual({ success: 0, failure: 1 });

      clear();
      scratch.write('secret', OTHER_SECRET);
      service.signal('SIGHUP');
      await expectReason(freshToken({}, NEW), 'ok');
      expect((await readReadyz(service.admin)).components.files).toMatchObject({ keys: 'ok' });
      expect(await reloads()).toEqual({ success: 1, failure: 1 });
    },
  );

  test('counts as a success once it is restored, or an alert on failures would never end', async () => {
    clear();
    scratch.write('secret', SECRET);
    await start(configured);
    clear();
    service.signal('SIGHUP');
    await vi.waitFor(async () => expect(await reloads()).toEqual({ success: 0, failure: 1 }), PATIENCE);
    const failedAt = Date.now() / 1000;
    scratch.write('secret', SECRET);
    service.signal('SIGHUP');
    await vi.waitFor(async () => {
      expect((await readReadyz(service.admin)).components.files).toMatchObject({ keys: 'ok' });
    }, PATIENCE);
    expect(await reloads()).toEqual({ success: 1, failure: 1 });
    const series = 'approov_reload_last_success_timestamp_seconds{source="keys"}';
    expect(await service.metric(series)).toBeGreaterThanOrEqual(failedAt - 1);
  });

  test('does not prevent reloads of other secrets', async () => {
    clear();
    scratch.write('secret', SECRET);
    await start([...configured, keyOf('next', scratch.path('new'))]);
    clear();
    scratch.write('new', Buffer.alloc(64, 'third').toString('base64'));
    service.signal('SIGHUP');
    await expectReason(freshToken({}, { secret: Buffer.alloc(64, 'third') }), 'ok');
    expect(await service.reasonOf(freshToken({}, OLD))).toBe('ok');
  });

  async function reloads(): Promise<{ success: number; failure: number }> {
    const count = (outcome: string) =>
      service.counted(`approov_reloads_total{source="keys",outcome="${outcome}"}`);
    return { success: await count('success'), failure: await count('failure') };
  }
});

describe('a leaked secret', () => {
  test('is revoked by removing its key from keys, for cached tokens as well', async () => {
    const both = [keyOf('old', scratch.path('old')), keyOf('new', scratch.path('new'))];
    await start(both);
    const token = freshToken({}, OLD);
    expect([await service.reasonOf(token), await service.reasonOf(token)]).toEqual(['ok', 'ok']);
    service.writeConfig({ keys: both.slice(1) });
    service.signal('SIGHUP');
    await expectReason(token, 'invalid_token_signature');
    expect(await service.reasonOf(freshToken({}, NEW))).toBe('ok');
    expect((await readReadyz(service.admin)).components.keys?.loaded).toMatchObject([{ id: 'new' }]);
  });

  test('is not revoked by deleting its file', async () => {
    const keys = [keyOf('old', scratch.path('old')), keyOf('new', scratch.path('new'))];
    await start(keys);
    rmSync(scratch.path('old'));
    service.signal('SIGHUP');
    await vi.waitFor(async () => {
      expect((await readReadyz(service.admin)).components.files?.['keys']).toHaveLength(1);
    }, PATIENCE);
    expect(await service.reasonOf(freshToken({}, OLD))).toBe('ok');
  });
});

test('the metrics of a key count its verifications and show its last use; a removed key has none', async () => {
  const both = [keyOf('used', scratch.path('old')), keyOf('unused', scratch.path('new'))];
  await start(both);
  const series = async (id: string) => [
    await service.metric(`approov_key_verifications_total{key_id="${id}"}`),
    await service.metric(`approov_key_last_used_timestamp_seconds{key_id="${id}"}`),
  ];
  expect([await series('used'), await series('unused')]).toEqual([
    [0, 0],
    [0, 0],
  ]);
  const token = freshToken({}, OLD);
  const startSeconds = Date.now() / 1000;
  for (let checks = 0; checks < 3; checks++) expect(await service.reasonOf(token)).toBe('ok');
  const [used, lastUsed] = await series('used');
  expect(used).toBe(3);
  expect(lastUsed).toBeGreaterThanOrEqual(startSeconds - 0.01);
  expect(lastUsed).toBeLessThanOrEqual(Date.now() / 1000 + 0.01);
  expect(await series('unused')).toEqual([0, 0]);
  service.writeConfig({ keys: both.slice(1) });
  service.signal('SIGHUP');
  await expectReason(token, 'invalid_token_signature');
  expect([await series('used'), await series('unused')]).toEqual([
    [undefined, undefined],
    [0, 0],
  ]);
});

describe('a reload of another kind of key file', () => {
  const [a, b] = [createKeyPair('a'), createKeyPair('b')];

  test('applies a JWK Set, counts it as jwks, and keeps the last good one', async () => {
    scratch.write('jwks', jwkSet(a));
    await start([{ id: 'set', jwksFile: scratch.path('jwks') }]);
    const token = await a.sign();
    expect(await service.reasonOf(token)).toBe('ok');
    scratch.write('jwks', jwkSet(b));
    service.signal('SIGHUP');
    await expectReason(await b.sign(), 'ok');
    expect(await service.reasonOf(token)).toBe('unknown_key_id');
    scratch.write('jwks', JSON.stringify({ keys: [a.privateKey.export({ format: 'jwk' })] }));
    service.signal('SIGHUP');
    await vi.waitFor(async () => {
      expect((await readReadyz(service.admin)).components.files).toMatchObject({
        keys: 'ok',
        jwks: [expect.stringContaining('keys[0] is private')],
      });
    }, PATIENCE);
    expect(await service.reasonOf(await b.sign())).toBe('ok');
    expect(await service.counted('approov_reloads_total{source="jwks",outcome="success"}')).toBe(1);
    expect(await service.counted('approov_reloads_total{source="jwks",outcome="failure"}')).toBe(1);
  });

  test('applies a public key in PEM', async () => {
    scratch.write('pem', a.pem);
    await start([{ id: 'pem', pemFile: scratch.path('pem'), algorithms: ['ES256'] }]);
    expect(await service.reasonOf(await a.sign())).toBe('ok');
    scratch.write('pem', b.pem);
    service.signal('SIGHUP');
    await expectReason(await b.sign(), 'ok');
    expect(await service.reasonOf(await a.sign())).toBe('invalid_token_signature');
  });

  test('applies a decryption key: tokens encrypted for the old one are refused', async () => {
    const [one, two] = [Buffer.alloc(32, 1), Buffer.alloc(32, 2)];
    const encrypt = (key: Buffer) =>
      new CompactEncrypt(Buffer.from(freshToken({}, OLD)))
        .setProtectedHeader({ alg: 'dir', enc: 'A256GCM' })
        .encrypt(key);
    scratch.write('decryption-key', one.toString('base64'));
    const decryptionKeys = [
      {
        id: 'decryption-key',
        secretFile: scratch.path('decryption-key'),
        contentEncryptionAlgorithms: ['A256GCM'],
      },
    ];
    await start([keyOf('old', scratch.path('old'))], { decryptionKeys });
    const token = await encrypt(one);
    expect([await service.reasonOf(token), await service.reasonOf(token)]).toEqual(['ok', 'ok']);
    scratch.write('decryption-key', two.toString('base64'));
    service.signal('SIGHUP');
    await expectReason(await encrypt(two), 'ok');
    expect(await service.reasonOf(token)).toBe('unsupported_token_algorithm');
    service.writeConfig({ keys: [keyOf('old', scratch.path('old'))] });
    service.signal('SIGHUP');
    await expectReason(await encrypt(two), 'unsupported_token_algorithm');
  });
});
