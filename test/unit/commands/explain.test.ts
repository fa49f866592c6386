/** Tests which request `explain` decides, the facts that it prints as JSON, and its exit code. */
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, describe, expect, test } from 'vitest';
import { REASONS, type Reason, STEPS, type Step } from '../../../src/authz/reason.ts';
import { UsageError } from '../../../src/commands/command.ts';
import { ConfigError } from '../../../src/config/config.ts';
import { NOW } from '../../support/check.ts';
import { createExplainer } from '../../support/explain.ts';
import { base64url, mintToken, OTHER_SECRET_BYTES } from '../../support/token.ts';

const explainer = createExplainer();
const { folder, run } = explainer;
afterAll(() => explainer.remove());

const TOKEN = mintToken({ exp: NOW + 300, did: 'D' });
const FORGED = mintToken({ exp: NOW + 300, did: 'D' }, { secret: OTHER_SECRET_BYTES });

interface Explanation extends Readonly<Record<string, unknown>> {
  readonly code: number;
  readonly results: readonly string[];
}

async function json(...args: readonly string[]): Promise<Explanation> {
  const { code, text, errors } = await run([...args, '--json']);
  const explanation = JSON.parse(text) as Record<string, unknown>;
  const steps = explanation['steps'] as { step: string; result: string }[];
  return { ...explanation, code, errors, results: steps.map(({ step, result }) => `${step} ${result}`) };
}

/** Passed steps up to the one that stopped the check; those after it are left out. */
function stoppedAt(step: Step, how: string): string[] {
  const names = Object.keys(STEPS);
  return names
    .slice(0, names.indexOf(step) + 1)
    .map((name) => (name === step ? `${name} ${how}` : `${name} passed`));
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
      outcome: 'allowed',
      summary: 'the token passed every step',
      meaning: REASONS.ok.meaning,
      advice: null,
    });
    expect(explained.results).toEqual(Object.keys(STEPS).map((name) => `${name} passed`));
  });

  test.each<[Reason, step: Step, args: string[]]>([
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
      errors: ['the keys of remote are not loaded: bad port'],
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
  ])('has its ambiguous %s in the explanation', async (ambiguous, args, policy) => {
    expect(await json(...args)).toMatchObject({ code: 3, ambiguous, policy });
  });

  test('does not include a plain one', async () => {
    expect(await json('--path', '/health/x', '--host', 'api.example.com')).not.toHaveProperty('ambiguous');
  });
});

describe('the request', () => {
  test('reads its token from stdin', async () => {
    expect(await run(['--token', '-'], { stdin: ` ${TOKEN}\n` })).toMatchObject({ code: 0 });
    expect(await run(['--token', '-'])).toMatchObject({ code: 3 });
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

test('the JSON shows claims cut to 256 characters and without control characters, but keeps their value', async () => {
  const nasty = '\u001b[2J\u009b2J\u202e\u2028';
  const token = mintToken(
    { did: `${nasty}${'y'.repeat(300)}`, [`${nasty}name`]: 1 },
    { header: { kid: nasty } },
  );
  const { text } = await run(['--token', token, '--json']);
  expect(text).toMatch(/^[\x20-\x7e\u2019\n]*$/);
  expect(JSON.parse(text).token).toEqual({
    header: { alg: 'HS256', typ: 'JWT', kid: nasty },
    claims: { did: `${nasty}${'y'.repeat(256 - nasty.length)}`, [`${nasty}name`]: 1 },
    signature: 'not verified',
  });
});
