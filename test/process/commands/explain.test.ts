/** Tests that `explain` shows each step, and decides as the running service does. */
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, describe, expect, test } from 'vitest';
import { REASONS, type Reason, STEPS } from '../../../src/authz/reason.ts';
import { type Io, Options, UsageError } from '../../../src/commands/command.ts';
import { explain } from '../../../src/commands/explain.ts';
import { ConfigError } from '../../../src/config/config.ts';
import { createCheckClient, metadataOf } from '../../support/grpc-client.ts';
import { runCli, startServe } from '../../support/process.ts';
import { base64url, mintToken, OTHER_SECRET_BYTES, SECRET } from '../../support/token.ts';

const NOW = 1_795_500_000;
const folder = mkdtempSync(join(tmpdir(), 'explain-'));
afterAll(() => rmSync(folder, { recursive: true }));
const CONFIG = join(folder, 'config.yaml');
writeFileSync(join(folder, 'secret'), SECRET);
writeFileSync(
  CONFIG,
  `keys: [{id: current, kid: k1, secretFile: ${folder}/secret}]
policies:
  default: {}
  observe: {mode: observe}
  open: {mode: off}
  bearer: {tokenHeader: authorization, tokenPrefix: "Bearer "}
  bound: {binding: {headers: [authorization, x-session], when: required}}
  claims: {issuer: approov.io, audience: host}
routes: [{host: api.example.com, pathPrefix: /health, methods: [GET], policy: open}]
`,
);

const TOKEN = mintToken({ exp: NOW + 300, did: 'D' });
const FORGED = mintToken({ exp: NOW + 300, did: 'D' }, { secret: OTHER_SECRET_BYTES });

interface Explained {
  readonly code: number;
  readonly text: string;
  readonly errors: readonly string[];
}

async function run(args: readonly string[], stdin = ''): Promise<Explained> {
  const lines: string[] = [];
  const errors: string[] = [];
  const io = {
    env: { APPROOV_CONFIG: CONFIG },
    out: (line: string) => void lines.push(line),
    err: (line: string) => void errors.push(line),
    readStdin: async () => stdin,
    nowSeconds: () => NOW,
  } as unknown as Io;
  const code = await explain.run(new Options(args, explain.options), io);
  return { code, text: lines.join('\n'), errors };
}

async function json(
  ...args: readonly string[]
): Promise<Record<string, unknown> & { code: number; results: string[] }> {
  const { code, text, errors } = await run([...args, '--json']);
  const explanation = JSON.parse(text) as Record<string, unknown>;
  const steps = explanation['steps'] as { step: string; result: string }[];
  expect(steps.map(({ step }) => step)).toEqual(Object.keys(STEPS));
  return { ...explanation, code, errors, results: steps.map(({ result }) => result) };
}

/** Steps passed up to the one that stopped the check. */
function stoppedAt(step: keyof typeof STEPS, how: string): string[] {
  const at = Object.keys(STEPS).indexOf(step);
  return Object.keys(STEPS).map((_name, index) =>
    index < at ? 'passed' : index === at ? how : 'not reached',
  );
}

describe('the steps', () => {
  test('all pass for a valid token: exit 0', async () => {
    const explained = await json('--token', TOKEN);
    expect(explained).toMatchObject({
      code: 0,
      policy: 'default',
      mode: 'enforce',
      verdict: 'verified',
      action: 'allow',
      reason: 'ok',
      would_deny: false,
      key_id: 'current',
      token: {
        header: { alg: 'HS256', typ: 'JWT' },
        claims: { exp: NOW + 300, did: 'D' },
        signature: 'verified',
      },
      meaning: REASONS.ok.meaning,
    });
    expect(new Set(explained.results)).toEqual(new Set(['passed']));
  });

  test.each<[Reason, step: keyof typeof STEPS, args: string[]]>([
    ['unknown_policy', 'policy', ['--token', TOKEN, '--policy', 'none']],
    ['missing_approov_token', 'token', []],
    ['missing_approov_token', 'token', ['--token', '']],
    ['duplicate_approov_token', 'token', ['--token', TOKEN, '--header', 'Approov-Token: x']],
    ['invalid_token_format', 'token', ['--token', 'x.y']],
    ['invalid_token_format', 'key', ['--token', TOKEN.slice(0, TOKEN.lastIndexOf('.') + 1)]],
    ['invalid_token_format', 'signature', ['--token', mintToken([])]],
    ['unsupported_token_algorithm', 'key', ['--token', `${base64url('{"alg":"none"}')}.${base64url('{}')}.`]],
    ['unknown_key_id', 'key', ['--token', mintToken({}, { header: { kid: 'k2' } })]],
    ['invalid_token_signature', 'signature', ['--token', FORGED]],
    ['missing_expiry', 'lifetime', ['--token', mintToken({})]],
    ['token_expired', 'lifetime', ['--token', TOKEN, '--at', String(NOW + 300)]],
    ['token_not_yet_valid', 'lifetime', ['--token', mintToken({ exp: NOW + 9, nbf: NOW + 5 })]],
    ['claim_mismatch', 'claims', ['--token', TOKEN, '--policy', 'claims', '--host', 'api.example.com']],
    ['missing_pay_claim', 'binding', ['--token', TOKEN, '--policy', 'bound']],
    [
      'missing_binding_header',
      'binding',
      ['--token', mintToken({ exp: NOW + 9, pay: 'x' }), '--policy', 'bound'],
    ],
    [
      'binding_mismatch',
      'binding',
      [
        '--token',
        mintToken({ exp: NOW + 9, pay: 'x' }),
        '--policy',
        'bound',
        '--header',
        'Authorization: a',
        '--header',
        'x-session:b',
      ],
    ],
  ])('show %s as a failure of step %s: exit 3', async (reason, step, args) => {
    const explained = await json(...args);
    expect(explained).toMatchObject({
      code: 3,
      reason,
      verdict: 'unverified',
      action: 'deny',
      would_deny: true,
      remedy: REASONS[reason].remedy,
    });
    expect(explained.results).toEqual(stoppedAt(step, 'failed'));
  });

  test('show a key that could not be fetched as a failure of step key: exit 3', async () => {
    const config = join(folder, 'unreachable.yaml');
    writeFileSync(config, 'keys: [{id: remote, jwksUrl: "https://localhost:1/jwks"}]');
    const explained = await json('--config', config, '--token', TOKEN);
    expect(explained).toMatchObject({
      code: 3,
      reason: 'internal_error',
      action: 'deny',
      errors: ['the keys of remote are not there: bad port'],
    });
    expect(explained.results).toEqual(stoppedAt('key', 'failed'));
  });

  test('end with the policy for a skipped request: exit 0', async () => {
    const open = await json('--host', 'API.example.com:443', '--path', '/health/x?y');
    expect(open).toMatchObject({
      code: 0,
      policy: 'open',
      reason: 'policy_off',
      verdict: 'skipped',
      results: stoppedAt('policy', 'skipped'),
    });
    const preflight = await json(
      '--method',
      'OPTIONS',
      '--header',
      'origin: x',
      '--header',
      'access-control-request-method: GET',
    );
    expect(preflight).toMatchObject({
      code: 0,
      reason: 'cors_preflight',
      results: stoppedAt('policy', 'skipped'),
    });
  });

  test('that fail under observe show would_deny: exit 0, since the request is allowed', async () => {
    expect(await json('--token', FORGED, '--policy', 'observe')).toMatchObject({
      code: 0,
      action: 'allow',
      would_deny: true,
    });
  });
});

describe('an ambiguous request', () => {
  test.each([
    ['path', ['--path', '/health/..;/x', '--host', 'api.example.com', '--policy', 'open'], 'default'],
    ['host', ['--path', '/x', '--host', 'u@api.example.com'], 'default'],
    ['host', ['--path', '/x'], 'default'],
  ])('is shown with its ambiguous %s', async (ambiguous, args, policy) => {
    expect(await json(...args)).toMatchObject({ code: 3, ambiguous, policy });
    expect((await run(args)).text).toContain(`\nambiguous: ${ambiguous} (`);
  });

  test('is not shown for a plain request', async () => {
    const args = ['--path', '/health/x', '--host', 'api.example.com'];
    expect(await json(...args)).not.toHaveProperty('ambiguous');
    expect((await run(args)).text).not.toContain('ambiguous');
  });
});

describe('the request', () => {
  test('reads its token from stdin', async () => {
    expect(await run(['--token', '-'], ` ${TOKEN}\n`)).toMatchObject({ code: 0 });
    expect(await run(['--token', '-'], '')).toMatchObject({ code: 3 });
  });

  test('has its token in the header of its policy, or in a given header', async () => {
    expect(await json('--token', TOKEN, '--policy', 'bearer')).toMatchObject({ reason: 'ok' });
    expect(await json('--header', `authorization: Bearer ${TOKEN}`, '--policy', 'bearer')).toMatchObject({
      reason: 'ok',
    });
    expect(await json('--header', `APPROOV-TOKEN:${TOKEN}`)).toMatchObject({ reason: 'ok' });
  });

  test.each(['2026-11-24T04:40:00Z', '2026-11-24T05:40:00+01:00', '1795495200', '1795495200.5'])(
    'is decided as of %s',
    async (at) => {
      const [before, after] = [mintToken({ exp: 1_795_495_201 }), mintToken({ exp: 1_795_495_200 })];
      expect(await json('--token', before, '--at', at)).toMatchObject({ reason: 'ok' });
      expect(await json('--token', after, '--at', at)).toMatchObject({ reason: 'token_expired' });
    },
  );

  test.each<[args: string[], message: RegExp]>([
    [['--at', 'yesterday'], /^--at: /],
    [['--at', ''], /^--at: /],
    [['--header', 'planted'], /^--header: /],
    [['--header', ': planted'], /^--header: /],
  ])('with %j is a usage error that quotes nothing', async (args, message) => {
    await expect(run(args)).rejects.toThrow(UsageError);
    await expect(run(args)).rejects.toThrow(message);
    await expect(run(args)).rejects.not.toThrow(/planted/);
  });

  test('needs a configuration', async () => {
    await expect(run(['--config', join(folder, 'none')])).rejects.toThrow(ConfigError);
  });
});

describe('the text', () => {
  test('has a line for each step and the outcome, but not the token', async () => {
    const { text } = await run(['--token', TOKEN]);
    const lines = text.split('\n');
    for (const [step, about] of Object.entries(STEPS)) {
      expect(lines.find((line) => line.startsWith(`${step} `))).toMatch(/ passed /);
      expect(text).toContain(about);
    }
    expect(text).toContain('policy     default (mode enforce)');
    expect(text).toContain(`claims     {"exp":${NOW + 300},"did":"D"} (signature verified)`);
    expect(text).toContain(`reason     ok: ${REASONS.ok.meaning}`);
    expect(text).not.toContain('what to do');
    for (const part of TOKEN.split('.')) expect(text).not.toContain(part);
  });

  test('shows the claims cut to 256 characters and without terminal control characters', async () => {
    const nasty = '\u001b[2J\u009b2J\u202e\u2028';
    const token = mintToken(
      { did: `${nasty}${'y'.repeat(300)}`, [`${nasty}name`]: 1 },
      { header: { kid: nasty } },
    );
    for (const more of [[], ['--json']]) {
      const { text } = await run(['--token', token, ...more]);
      expect(text).toMatch(/^[\x20-\x7e\u2019\n]*$/);
      expect(text).toContain('\\u001b[2J\\u009b2J\\u202e\\u2028');
      expect(text).toContain(`${'y'.repeat(256 - nasty.length)}"`);
    }
    const { token: shown } = JSON.parse((await run(['--token', token, '--json'])).text);
    expect(shown.header.kid).toBe(nasty);
  });

  test('of a failure has the remedy, and says that the claims are not verified', async () => {
    const { text } = await run(['--token', FORGED]);
    expect(text).toContain(`what to do ${REASONS.invalid_token_signature.remedy}`);
    expect(text).toContain('(signature not verified)');
  });
});

test('explain decides as the running service does', async () => {
  const fresh = (claims: object, options?: Parameters<typeof mintToken>[1]): string =>
    mintToken({ exp: Math.floor(Date.now() / 1000) + 300, ...claims }, options);
  const cases = [
    { token: fresh({}) },
    { token: fresh({}, { secret: OTHER_SECRET_BYTES }), policy: 'observe' },
    { token: fresh({ iss: 'approov.io', aud: 'h' }), policy: 'claims', host: 'H.:80' },
    { token: fresh({ pay: 'x' }), policy: 'bound', header: 'authorization: a' },
    { policy: '' },
    { host: 'api.example.com', path: '/health' },
    { host: 'api.example.com', path: '/health/%2e%2e/x' },
    { host: 'api.example.com', path: '/health', method: 'POST' },
    { header: 'approov-token: rejected' },
  ];
  const service = await startServe({}, ['--config', CONFIG]);
  const client = createCheckClient(service.grpc);
  try {
    for (const { token, header, policy, host = '', path = '/', method = 'GET' } of cases) {
      const [name = '', value = ''] = header?.split(': ') ?? [];
      const headers = { ...(token && { 'approov-token': token }), ...(name && { [name]: value }) };
      const context_extensions = policy === undefined ? {} : { approov_policy: policy };
      const answer = await client.check({
        attributes: { context_extensions, request: { http: { method, path, host, headers } } },
      });
      const given = Object.entries({ token, header, policy, host, path, method }).filter(
        ([, text]) => text !== undefined,
      );
      const { stdout } = await runCli(
        ['explain', '--json', ...given.map(([option, text]) => `--${option}=${text}`)],
        { APPROOV_CONFIG: CONFIG },
      );
      const { verdict, action, reason, policy: by, mode } = JSON.parse(stdout) as Record<string, unknown>;
      expect(metadataOf(answer)).toMatchObject({
        approov_verdict: verdict,
        approov_action: action,
        approov_reason: reason,
        approov_policy: by,
        approov_mode: mode,
      });
    }
  } finally {
    client.close();
    await service.kill();
  }
});
