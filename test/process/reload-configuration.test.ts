/** Tests reloads of the configuration in a running process. */
import { rmSync } from 'node:fs';
import { afterAll, beforeEach, describe, expect, test, vi } from 'vitest';
import { readReadyz } from '../support/admin-pages.ts';
import { createCa, issueCertificate } from '../support/certificate.ts';
import { createScratch } from '../support/checked-service.ts';
import { metadataOf } from '../support/grpc-client.ts';
import { PATIENCE } from '../support/patience.ts';
import { type ResettableService, shareService } from '../support/resettable-service.ts';
import { freshToken, OTHER_SECRET, OTHER_SECRET_BYTES, SECRET } from '../support/token.ts';

const scratch = createScratch('reload-configuration');
const secretFile = scratch.write('secret', SECRET);
const keys = [{ id: 'current', secretFile }];
afterAll(() => scratch.remove());

const ENV_SECRET = { APPROOV_BASE64_SECRET: SECRET };

const shared = shareService(scratch);
let service: ResettableService;
beforeEach(() => {
  scratch.write('secret', SECRET);
});
afterAll(() => shared.stop());

async function start(more: object = {}): Promise<void> {
  service = await shared.start({ keys, ...more });
}

/** Writes another configuration, and has the service reload it. */
function change(config: object | string): void {
  service.writeConfig(typeof config === 'string' ? config : { keys, ...config });
  service.signal('SIGHUP');
}

function eventually(assert: () => Promise<void>): Promise<void> {
  return vi.waitFor(assert, PATIENCE);
}

async function successes(): Promise<number> {
  return service.counted('approov_reloads_total{source="config",outcome="success"}');
}

async function metadata(path = '/'): Promise<Readonly<Record<string, string | undefined>>> {
  return metadataOf(await service.ask(undefined, { path }));
}

function warnings(): readonly Readonly<Record<string, unknown>>[] {
  return service.newLines().filter(({ level, msg }) => level === 'warn' && !String(msg).startsWith('Node '));
}

describe('what changes without a restart', () => {
  test('a changed configuration is reloaded, even without a signal', async () => {
    await start();
    service.writeConfig({ keys, policies: { default: { mode: 'observe' } } });
    await eventually(async () => expect((await metadata())['approov_mode']).toBe('observe'));
  });

  test('a changed mode is reloaded: each below enforce is logged again, and the series of the old mode is removed', async () => {
    await start({ policies: { default: {}, other: { mode: 'off' } } });
    expect(await metadata()).toMatchObject({ approov_mode: 'enforce', approov_action: 'deny' });
    expect(warnings()).toMatchObject([{ policy: 'other', mode: 'off' }]);
    change({ policies: { default: { mode: 'limit' }, other: { mode: 'observe' } } });
    await eventually(async () =>
      expect(await metadata()).toMatchObject({ approov_mode: 'limit', approov_action: 'limit' }),
    );
    await eventually(async () =>
      expect(warnings().slice(1)).toMatchObject([
        { policy: 'default', mode: 'limit' },
        { policy: 'other', mode: 'observe' },
      ]),
    );
    const mode = (name: string) => service.metric(`approov_policy_mode{policy="default",mode="${name}"}`);
    expect([await mode('enforce'), await mode('limit')]).toEqual([undefined, 1]);
    change({});
    await eventually(async () => expect((await metadata())['approov_mode']).toBe('enforce'));
    expect(warnings()).toHaveLength(3);
  });

  test('changed policies and routes are reloaded', async () => {
    const policies = { default: {}, open: { mode: 'off' } };
    await start({ policies });
    expect((await metadata('/healthz'))['approov_policy']).toBe('default');
    change({ policies, routes: [{ pathPrefix: '/healthz', policy: 'open' }] });
    await eventually(async () => expect((await metadata('/healthz'))['approov_policy']).toBe('open'));
    expect((await metadata('/orders'))['approov_policy']).toBe('default');
    change({ policies: { ...policies, strict: {} }, defaultPolicy: 'strict' });
    await eventually(async () => expect((await metadata('/healthz'))['approov_policy']).toBe('strict'));
  });

  test('changed headers that a policy reads are reloaded', async () => {
    await start();
    const token = freshToken();
    expect(await service.reasonOf(undefined, { headers: { 'x-token': `Bearer ${token}` } })).toBe(
      'missing_approov_token',
    );
    change({ policies: { default: { tokenHeader: 'x-token', tokenPrefix: 'Bearer ' } } });
    await eventually(async () =>
      expect(await service.reasonOf(undefined, { headers: { 'x-token': `Bearer ${token}` } })).toBe('ok'),
    );
    expect(await service.reasonOf(token)).toBe('missing_approov_token');
  });

  test('a changed denied response is reloaded', async () => {
    await start();
    expect((await service.ask(undefined)).denied_response).toMatchObject({
      status: { code: 401 },
      body: '{}',
    });
    change({ denied: { status: 403, body: 'no', contentType: 'text/plain', exposeReason: true } });
    await eventually(async () => {
      const { denied_response: denied } = await service.ask(undefined);
      expect(denied).toMatchObject({ status: { code: 403 }, body: 'no' });
      const headers = denied?.headers.map(({ header }) => [header.key, header.value]);
      expect(Object.fromEntries(headers ?? [])).toMatchObject({
        'content-type': 'text/plain',
        'x-approov-reason': 'missing_approov_token',
      });
    });
  });

  test('a changed log level and log.checks are reloaded', async () => {
    await start({ log: { checks: 'all' } });
    const lines = () =>
      service.newLines().filter(({ msg }) => /^check (passed|failed)$/.test(String(msg))).length;
    await service.reasonOf(freshToken());
    await eventually(async () => expect(lines()).toBe(1));
    change({ log: { level: 'error', checks: 'all' } });
    await eventually(async () => expect(await successes()).toBe(1));
    await service.ask(undefined);
    expect(lines()).toBe(1);
    change({ log: { level: 'info', checks: 'none' } });
    await eventually(async () => expect(await successes()).toBe(2));
    const before = lines();
    await service.ask(undefined);
    change({ log: { level: 'info' } });
    await eventually(async () => expect(await successes()).toBe(3));
    expect(lines()).toBe(before);
  });

  test('a changed size of the token cache is reloaded', async () => {
    await start({ tokenCache: { maxEntries: 0 } });
    const token = freshToken();
    const hits = () => service.counted('approov_token_cache_lookups_total{outcome="hit"}');
    for (let checks = 0; checks < 3; checks++) await service.reasonOf(token);
    expect(await hits()).toBe(0);
    change({});
    await eventually(async () => {
      await service.reasonOf(token);
      expect(await hits()).toBeGreaterThan(0);
    });
  });

  test('/config shows the reloaded configuration', async () => {
    await start();
    change({ policies: { default: { issuer: 'example.approov.io' } } });
    await eventually(async () =>
      expect(await (await fetch(`http://${service.admin}/config`)).text()).toContain('example.approov.io'),
    );
  });

  test('changed drain settings are reloaded', async () => {
    await start({ drain: { delaySeconds: 3600 } });
    change({ drain: { delaySeconds: 0 } });
    await eventually(async () => expect(await successes()).toBe(1));
    service.signal('SIGTERM');
    expect(await service.ended).toBe(0);
  });
});

describe('a setting that is bound at start', () => {
  test.each<[field: string, config: object]>([
    ['listen', { listen: { unixSocketMode: '0600' } }],
    ['connection', { connection: { maxAgeSeconds: 5 } }],
    ['limits', { limits: { connections: 5 } }],
    ['workers', { workers: 2 }],
  ])(
    '%s: a change is logged as requiring a restart, and the other changes are applied',
    async (field, config) => {
      await start();
      change({ ...config, denied: { body: 'new' } });
      await eventually(async () => expect((await service.ask(undefined)).denied_response?.body).toBe('new'));
      await eventually(async () =>
        expect(warnings()).toMatchObject([{ field, msg: 'setting changed; restart required' }]),
      );
      expect(await service.reasonOf(freshToken())).toBe('ok');
    },
  );

  test('TLS: a new certificate path gives no warning, but no longer asking for client certificates does', async () => {
    const ca = createCa(scratch.folder, 'ca');
    const { cert, key } = issueCertificate(scratch.folder, 'server', ca);
    const tls = (name: string) => ({
      certFile: scratch.write(`${name}.crt`, cert),
      keyFile: scratch.write(`${name}.key`, key),
      clientCaFile: scratch.write(`${name}-ca.crt`, ca.cert),
    });
    await shared.stop();
    await start({ listen: { tls: tls('first') } });
    const before = await successes();
    change({ listen: { tls: tls('second') } });
    await eventually(async () => expect(await successes()).toBe(before + 1));
    expect(warnings()).toEqual([]);
    change({ listen: { tls: { ...tls('second'), clientCaFile: undefined } } });
    await eventually(async () =>
      expect(warnings()).toMatchObject([{ field: 'listen', msg: 'setting changed; restart required' }]),
    );
    await shared.stop();
  });
});

describe('a reload replaces only what changed', () => {
  const cacheLookups = async (outcome: 'hit' | 'miss') =>
    service.counted(`approov_token_cache_lookups_total{outcome="${outcome}"}`);

  test.each<[what: string, config: object]>([
    ['log level', { log: { level: 'warn' } }],
    ['policy', { policies: { default: { forwardToken: false } } }],
    ['size of the token cache', { tokenCache: { maxEntries: 5 } }],
    ['restart-only setting', { limits: { connections: 5 } }],
  ])('a new %s does not empty the token cache', async (_what, config) => {
    service = await shared.start({}, ENV_SECRET);
    const token = freshToken();
    expect([await service.reasonOf(token), await cacheLookups('miss')]).toEqual(['ok', 1]);
    service.writeConfig(config);
    service.signal('SIGHUP');
    await eventually(async () => expect(await successes()).toBe(1));
    expect([await service.reasonOf(token), await cacheLookups('miss')]).toEqual(['ok', 1]);
    expect(await cacheLookups('hit')).toBe(1);
  });

  test('a secret file rewritten with the same secret does not empty the token cache', async () => {
    await start();
    const token = freshToken();
    await service.reasonOf(token);
    scratch.write('secret', `${SECRET}\n`);
    service.signal('SIGHUP');
    const reloads = 'approov_reloads_total{source="keys",outcome="success"}';
    await eventually(async () => expect(await service.counted(reloads)).toBe(1));
    expect([await service.reasonOf(token), await cacheLookups('miss')]).toEqual(['ok', 1]);
  });

  test('policy warnings are logged when policies changed, not when the log level did', async () => {
    const policies = { default: { mode: 'observe' } };
    await start({ policies });
    expect(warnings()).toMatchObject([{ policy: 'default', mode: 'observe' }]);
    change({ policies, log: { level: 'debug' } });
    await eventually(async () => expect(await successes()).toBe(1));
    change({ policies, denied: { body: 'new' } });
    await eventually(async () => expect(await successes()).toBe(2));
    expect(warnings()).toHaveLength(1);
    change({ policies: { default: { mode: 'observe', forwardToken: false } } });
    await eventually(async () => expect(await successes()).toBe(3));
    await eventually(async () => expect(warnings()).toHaveLength(2));
  });

  test('a setting that requires a restart is logged when it changed, not at every later reload', async () => {
    await start();
    change({ limits: { connections: 5 } });
    await eventually(async () => expect(await successes()).toBe(1));
    change({ limits: { connections: 5 }, denied: { body: 'new' } });
    await eventually(async () => expect(await successes()).toBe(2));
    await eventually(async () => expect(warnings()).toMatchObject([{ field: 'limits' }]));
  });
});

describe('an invalid configuration', () => {
  const good = { policies: { default: { mode: 'observe' } } };

  test.each<[what: string, breakIt: () => void, problem: string]>([
    ['with an unknown field', () => change({ extra: 1 }), 'extra: unknown field'],
    ['with an invalid value', () => change({ log: { level: 'loud' } }), 'log.level: '],
    ['that is not YAML', () => change('{'), 'not valid YAML'],
    ['that is empty', () => change(''), 'keys: no key'],
    ['without keys', () => change({ keys: [] }), 'keys: must name at least one key'],
    [
      'that names an unknown policy',
      () => change({ policies: { default: {} }, defaultPolicy: 'x' }),
      'defaultPolicy: unknown policy "',
    ],
    [
      'with a new key whose file does not exist',
      () => change({ keys: [...keys, { id: 'next', secretFile: scratch.path('none') }] }),
      `keys[1].secretFile: ${scratch.path('none')}: no such file`,
    ],
    ['that was deleted', () => rmSync(service.configFile), 'no such file'],
  ])(
    '%s keeps the last good state, and is logged, counted and shown until it is fixed',
    async (_what, breakIt, problem) => {
      await start(good);
      breakIt();
      service.signal('SIGHUP');
      await eventually(async () => {
        const { status, components } = await readReadyz(service.admin);
        expect([status, components.files]).toEqual([
          200,
          expect.objectContaining({ config: [expect.stringContaining(problem)], keys: 'ok' }),
        ]);
      });
      expect((await metadata())['approov_mode']).toBe('observe');
      expect(await service.counted('approov_reloads_total{source="config",outcome="failure"}')).toBe(1);
      // The log reaches this process later than the metrics do.
      await eventually(async () => {
        const logged = service.newLines().filter(({ level }) => level === 'error');
        expect(logged.map((line) => `${line['path']}: ${line['problem']}`)).toEqual([
          expect.stringContaining(problem),
        ]);
      });
      change({ policies: { default: { mode: 'limit' } } });
      await eventually(async () => expect((await metadata())['approov_mode']).toBe('limit'));
      expect((await readReadyz(service.admin)).components.files).toMatchObject({ config: 'ok' });
      expect(await successes()).toBe(1);
    },
  );

  test('shows every problem', async () => {
    await start();
    change({ a: 1, b: 2 });
    await eventually(async () =>
      expect((await readReadyz(service.admin)).components.files?.['config']).toEqual([
        expect.stringMatching(/config\.yaml:4:1: a: unknown field$/),
        expect.stringMatching(/config\.yaml:5:1: b: unknown field$/),
      ]),
    );
  });

  test('that is restored counts as a success', async () => {
    await start(good);
    change({ extra: 1 });
    await eventually(async () =>
      expect((await readReadyz(service.admin)).components.files?.['config']).toEqual([
        expect.stringMatching(/config\.yaml:4:1: extra: unknown field$/),
      ]),
    );
    change(good);
    await eventually(async () =>
      expect((await readReadyz(service.admin)).components.files).toMatchObject({ config: 'ok' }),
    );
    expect(await successes()).toBe(1);
  });

  test('does not prevent the rotation of secrets', async () => {
    await start(good);
    change({ extra: 1 });
    scratch.write('secret', OTHER_SECRET);
    service.signal('SIGHUP');
    await eventually(async () =>
      expect(await service.reasonOf(freshToken({}, { secret: OTHER_SECRET_BYTES }))).toBe('ok'),
    );
    expect((await metadata())['approov_mode']).toBe('observe');
  });

  test('is loaded once the file that it names exists', async () => {
    await start();
    const next = scratch.path('next');
    change({ keys: [...keys, { id: 'next', secretFile: next }] });
    await eventually(async () =>
      expect((await readReadyz(service.admin)).components.files?.['config']).toHaveLength(1),
    );
    scratch.write('next', OTHER_SECRET);
    service.signal('SIGHUP');
    await eventually(async () =>
      expect(await service.reasonOf(freshToken({}, { secret: OTHER_SECRET_BYTES }))).toBe('ok'),
    );
    expect(await service.reasonOf(freshToken())).toBe('ok');
  });
});
