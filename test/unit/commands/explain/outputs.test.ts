/**
 * Tests the whole output of `explain` for each thing that it can see, against the files in expected/. To write them
 * after a change, run vitest with `--update=all`, and read the difference.
 */
import { createHash, createPrivateKey } from 'node:crypto';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { CompactEncrypt } from 'jose';
import { afterAll, describe, expect, it } from 'vitest';
import { payClaim } from '../../../../src/approov/token-binding.ts';
import { REASON_NAMES } from '../../../../src/authz/reason.ts';
import { NOW } from '../../../support/check.ts';
import { createExplainer } from '../../../support/explain.ts';
import { ipkOf, signAccount, signInstall } from '../../../support/message-signature.ts';
import { signHeaders } from '../../../support/signed-check.ts';
import { base64url, mintToken, OTHER_SECRET_BYTES, SECRET, SECRET_BYTES } from '../../../support/token.ts';

const explainer = createExplainer();
afterAll(() => explainer.remove());

const CLAIMS = { exp: NOW + 300, did: 'ExampleApproovTokenDID==', ip: '192.0.2.7' };
const BEARER = 'Bearer planted-session-4711';
const SESSION = 'planted-cookie-4712';
const TOKEN = mintToken(CLAIMS);
const FORGED = mintToken({ ...CLAIMS, arc: 'IXPSB7TRK26LXE3M' }, { secret: OTHER_SECRET_BYTES });
const HOST = ['--host', 'api.example.com'];

const withToken = (token: string, ...more: string[]): string[] => [...HOST, `--token=${token}`, ...more];
const bound = (...values: string[]): string => mintToken({ ...CLAIMS, pay: payClaim(values) });

const REMOTE = join(explainer.folder, 'remote.yaml');
writeFileSync(REMOTE, 'keys: [{id: remote, jwksUrl: "https://localhost:1/jwks"}]');
const MANY = join(explainer.folder, 'many.yaml');
writeFileSync(
  MANY,
  `keys:
  - {id: eu, kid: eu-1, secretFile: ${explainer.folder}/secret, hosts: [eu.example.com]}
  - {id: us, kid: us-1, secretFile: ${explainer.folder}/secret}
`,
);

const ENCRYPTED = join(explainer.folder, 'encrypted.yaml');
writeFileSync(
  ENCRYPTED,
  `keys: [{id: current, secretFile: ${explainer.folder}/secret}]
decryptionKeys:
  - id: envelope
    secretFile: ${explainer.folder}/secret
    keyManagementAlgorithms: [dir]
    contentEncryptionAlgorithms: [A256CBC-HS512]
`,
);

/** The initialization vector is random, but the length is not. */
function encrypt(token: string, key: Buffer = SECRET_BYTES): Promise<string> {
  return new CompactEncrypt(Buffer.from(token))
    .setProtectedHeader({ alg: 'dir', enc: 'A256CBC-HS512' })
    .encrypt(key);
}

/** The generator of P-256 is the public key of the private key 1: with fixed keys, the outputs are always the same. */
const COORDINATES = {
  x: 'axfR8uEsQkf4vOblY6RA8ncDfYEt6zOg9KE5RdiYwpY',
  y: 'T-NC4v4af5uO5-tKfA-eFivOM1drMV7Oy7ZAaDe_UfU',
};
const APP_KEY = createPrivateKey({
  format: 'jwk',
  key: {
    kty: 'EC',
    crv: 'P-256',
    ...COORDINATES,
    d: Buffer.from('1'.padStart(64, '0'), 'hex').toString('base64url'),
  },
});
const SIGNED_TOKEN = mintToken({ ...CLAIMS, ipk: ipkOf(APP_KEY), mskid: 'j3AWy6' });
const SIGNERS = {
  install: (base: string) => signInstall(base, APP_KEY),
  account: (base: string) => signAccount(base, OTHER_SECRET_BYTES),
};
const BODY = '{"amount":1}';
const BODY_FILE = join(explainer.folder, 'body.json');
writeFileSync(BODY_FILE, BODY);
const DIGEST = `sha-256=:${createHash('sha256').update(BODY).digest('base64')}:`;

/** The options for a request that was signed as given; `sent` differs from what was signed. */
function signedWith(
  policy: string,
  signed: Parameters<typeof signHeaders>[0] = {},
  ...sent: readonly string[]
): readonly string[] {
  const headers = signHeaders({
    token: SIGNED_TOKEN,
    path: '/v1/orders?a=b',
    sign: SIGNERS,
    created: NOW - 5,
    ...signed,
  });
  const lines = Object.entries(headers).flatMap(([name, value]) => ['--header', `${name}: ${value}`]);
  return [`--policy=${policy}`, ...HOST, '--path=/v1/orders?a=b', ...lines, ...sent];
}

/** By the name of the file. */
const CASES: Readonly<Record<string, readonly string[]>> = {
  ok: withToken(TOKEN),
  'ok-all-steps': [
    '--policy=claims',
    ...withToken(
      mintToken({ ...CLAIMS, nbf: NOW - 5, iss: 'acme.approov.io', aud: ['api.example.com'], pay: 'x' }),
    ),
  ],
  'ok-bound': withToken(bound(BEARER), '--path=/v2/x', '--header', `Authorization: ${BEARER}`),
  'ok-unbound': withToken(TOKEN, '--path=/v2'),
  'ok-tolerant': withToken(mintToken({ ...CLAIMS, exp: NOW - 20 }), '--policy=tolerant'),
  policy_off: [...HOST, '--path=/health'],
  cors_preflight: [
    ...HOST,
    '--method=OPTIONS',
    '--header=origin: https://app.example.com',
    '--header=access-control-request-method: GET',
  ],
  unknown_policy: withToken(TOKEN, '--policy=boundd'),
  'ambiguous-path': withToken(TOKEN, '--path=/health/..;/x'),
  'ambiguous-host': [`--token=${TOKEN}`, '--path=/health'],
  missing_approov_token: HOST,
  'missing-elsewhere': [...HOST, '--header', `x-approov: ${TOKEN}`],
  'missing-empty': withToken('', '--header=Approov-Status: no_network'),
  'status-word': withToken('REJECTED'),
  'status-other': withToken('undefined'),
  duplicate_approov_token: withToken(TOKEN, '--header', `approov-token: ${TOKEN}`),
  'duplicate-joined': withToken(`${TOKEN},${TOKEN}`),
  invalid_token_format: withToken('not/a token at all.'),
  'form-prefix': withToken(`Bearer ${TOKEN}`),
  'form-second-prefix': withToken(`Bearer Bearer ${TOKEN}`, '--policy=bearer'),
  'form-quotes': withToken(`"${TOKEN}"`),
  'form-white-space': withToken(`${TOKEN.slice(0, 40)}\n${TOKEN.slice(40)}`),
  'form-url-encoded': withToken(TOKEN.replaceAll('.', '%2E')),
  'form-several-mistakes': withToken(`'Bearer ${TOKEN}'`),
  'form-two-parts': withToken(TOKEN.slice(0, TOKEN.lastIndexOf('.'))),
  'form-cut-off': withToken(TOKEN.slice(0, -5)),
  'form-loggable': withToken('{"exp":1,"did":"D","sip":"c8I4"}'),
  'form-json': withToken('{"exp":1}'),
  'form-no-signature': withToken(TOKEN.slice(0, TOKEN.lastIndexOf('.') + 1)),
  'form-payload': withToken(mintToken([])),
  unsupported_token_algorithm: withToken(mintToken(CLAIMS, { header: { alg: 'HS512' } })),
  'algorithm-none': withToken(`${base64url('{"alg":"none"}')}.${base64url('{}')}.`),
  'algorithm-crit': withToken(mintToken(CLAIMS, { header: { crit: ['b64'] } })),
  'algorithm-encrypted': withToken(`${base64url('{"alg":"dir","enc":"A256GCM"}')}..QQ.QQ.QQ`),
  'algorithm-foreign': withToken(
    mintToken(
      { iss: 'https://accounts.example.com', email: 'x@example.com', exp: NOW + 300 },
      { header: { alg: 'RS256' } },
    ),
  ),
  unknown_key_id: withToken(mintToken(CLAIMS, { header: { kid: 'k2' } })),
  'key-of-other-host': ['--config', MANY, ...withToken(mintToken(CLAIMS, { header: { kid: 'eu-1' } }))],
  invalid_token_signature: withToken(FORGED),
  'signature-short': withToken(TOKEN.slice(0, -7)),
  'signature-foreign': withToken(
    mintToken({ iss: 'https://accounts.example.com', exp: NOW + 300 }, { secret: OTHER_SECRET_BYTES }),
  ),
  'mode-observe': withToken(FORGED, '--policy=observe'),
  'mode-limit': withToken(FORGED, '--policy=limit'),
  'share-enforced': withToken(FORGED, '--policy=share'),
  'share-observed': [...HOST, '--policy=share', '--header=x-envoy-external-address: 203.0.113.5'],
  'share-of-nobody-known': [...HOST, '--policy=share'],
  missing_expiry: withToken(mintToken({ exp: '1795500300' })),
  token_expired: withToken(mintToken({ ...CLAIMS, exp: NOW - 7200 })),
  'expired-just-now': withToken(mintToken({ ...CLAIMS, exp: NOW - 4.5 })),
  'expired-at': withToken(TOKEN, '--at=2026-11-25T06:00:00Z'),
  token_not_yet_valid: withToken(mintToken({ ...CLAIMS, nbf: NOW + 290 })),
  claim_mismatch: withToken(mintToken({ ...CLAIMS, iss: '', aud: 'b' }), '--policy=claims'),
  missing_pay_claim: withToken(TOKEN, '--policy=bound'),
  missing_binding_header: withToken(bound(BEARER), '--path=/v2'),
  'binding-repeated': withToken(
    bound(BEARER),
    '--path=/v2',
    ...['--header', `authorization: ${BEARER}`, '--header', `authorization: ${BEARER}`],
  ),
  binding_mismatch: withToken(bound(BEARER), '--path=/v2', '--header', 'authorization: Bearer other'),
  'binding-without-bearer': withToken(
    bound(BEARER.slice('Bearer '.length)),
    ...['--path=/v2', '--header', `authorization: ${BEARER}`],
  ),
  'binding-other-header': withToken(
    bound(SESSION),
    ...['--path=/v2', '--header', `authorization: ${BEARER}`, '--header', `cookie: ${SESSION}`],
  ),
  'binding-other-order': withToken(
    bound(SESSION, BEARER),
    ...['--policy=bound', '--header', `authorization: ${BEARER}`, '--header', `x-session: ${SESSION}`],
  ),
  'encrypted-ok': ['--config', ENCRYPTED, ...withToken(await encrypt(TOKEN))],
  'encrypted-forged': ['--config', ENCRYPTED, ...withToken(await encrypt(FORGED))],
  'encrypted-other-key': ['--config', ENCRYPTED, ...withToken(await encrypt(TOKEN, OTHER_SECRET_BYTES))],
  'encrypted-malformed': ['--config', ENCRYPTED, ...withToken(await encrypt('x'))],
  'ok-bound-base64url': withToken(
    mintToken({ ...CLAIMS, pay: Buffer.from(payClaim([BEARER]), 'base64').toString('base64url') }),
    ...['--path=/v2/x', '--header', `Authorization: ${BEARER}`],
  ),
  'signed-ok': signedWith('signed'),
  'signed-ok-twice': signedWith('signed-twice', {
    labels: ['install', 'account'],
    headers: { authorization: BEARER },
  }),
  'signed-ok-body': signedWith(
    'signed-body',
    { method: 'POST', headers: { 'content-digest': DIGEST } },
    ...['--method=POST', '--body-file', BODY_FILE],
  ),
  'signed-ok-without-body': signedWith(
    'signed',
    { method: 'POST', headers: { 'content-digest': DIGEST } },
    ...['--method=POST', '--header=content-length: 12'],
  ),
  'signed-not-required': withToken(TOKEN, '--policy=signed'),
  'signed-not-asked': [...HOST, '--token', SIGNED_TOKEN],
  missing_message_signature: [...HOST, '--token', SIGNED_TOKEN, '--policy=signed'],
  invalid_message_signature: signedWith('signed', { path: '/v1/orders?a=c' }),
  'signature-by-another-key': signedWith(
    'signed',
    { sign: { install: (base) => signInstall(base) } },
    ...['--header', 'signature-base-digest: install=:os4izFXzLpbB7l6PxsoSGh4hrxRa8tj6C318I3e6C4o=:'],
  ),
  'signature-of-another-base': signedWith(
    'signed',
    { path: '/v1/orders?a=c' },
    ...['--header', 'signature-base-digest: install=:AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=:'],
  ),
  'signature-malformed': withToken(SIGNED_TOKEN, '--policy=signed', '--header=signature-input: install=1'),
  'signature-absent-header': signedWith('signed', { headers: { 'x-device': 'a' } }).filter(
    (arg, index, args) => !arg.startsWith('x-device') && !args[index + 1]?.startsWith('x-device'),
  ),
  message_signature_expired: signedWith('signed', { created: NOW - 3600 }),
  'signature-of-the-future': signedWith('signed', { created: NOW + 3600 }),
  missing_signed_components: signedWith('signed-device'),
  'signature-without-body': signedWith(
    'signed-body',
    { method: 'POST' },
    ...['--method=POST', '--body-file', BODY_FILE],
  ),
  content_digest_mismatch: signedWith(
    'signed',
    { method: 'POST', headers: { 'content-digest': DIGEST.replace('256=:', '256=:A') } },
    ...['--method=POST', '--body-file', BODY_FILE],
  ),
  internal_error: ['--config', REMOTE, ...withToken(TOKEN)],
  hostile: withToken(
    mintToken({ ...CLAIMS, exp: '\u001b[2J\u202e', ['y'.repeat(300)]: 'z'.repeat(300) }, {}),
  ),
};

async function textOf(args: readonly string[]): Promise<string> {
  return (await explainer.run(args)).text;
}

describe('the output of explain', () => {
  it.each(Object.entries(CASES))('for %s is the expected one', async (name, args) => {
    await expect(`${await textOf(args)}\n`).toMatchFileSnapshot(`expected/${name}.txt`);
  });

  it('has an expected one for every reason', () => {
    // Only the running service can tell a replay.
    expect(REASON_NAMES.filter((reason) => !Object.hasOwn(CASES, reason))).toEqual(['message_replayed']);
  });

  it.each(Object.entries(CASES))(
    'for %s fits 80 columns and has printable characters only',
    async (_name, args) => {
      for (const line of (await textOf(args)).split('\n')) {
        // The lines of a signature base stay whole, to be compared with those of the app.
        if (!/^ +"/.test(line)) expect(line.length, line).toBeLessThanOrEqual(80);
        expect(line).toMatch(/^[\x20-\x7e\u2019\u2026]*$/);
      }
    },
  );

  it.each(Object.entries(CASES))(
    'for %s has no token, secret, signature or bound header',
    async (_name, args) => {
      const secrets = [
        ...args.flatMap((arg) => arg.match(/[A-Za-z0-9_-]{16,}(?=[.,"'\s]|$)/g) ?? []),
        SECRET,
        SECRET_BYTES.toString('latin1'),
        'planted',
      ].filter((secret) => secret !== 'access-control-request-method');
      const { text, errors } = await explainer.run([...args, '--json']);
      const shown = `${await textOf(args)}\n${text}\n${errors.join('\n')}`;
      expect(secrets.filter((secret) => shown.includes(secret))).toEqual([]);
    },
  );

  it('is in colour on a terminal that shows colours', async () => {
    const { text } = await explainer.run(CASES['mode-observe'] ?? [], { hasColors: true });
    await expect(`${text}\n`).toMatchFileSnapshot('expected/colours.txt');
  });

  it('has the same facts as JSON', async () => {
    const { text } = await explainer.run([...(CASES['binding-without-bearer'] ?? []), '--json']);
    await expect(`${text}\n`).toMatchFileSnapshot('expected/json.txt');
  });
});
