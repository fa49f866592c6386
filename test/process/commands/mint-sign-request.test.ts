/** Tests that `mint --sign-request` prints the headers of a request that the verifier accepts. */
import { createPublicKey, generateKeyPairSync } from 'node:crypto';
import { mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, describe, expect, test } from 'vitest';
import { type Io, Options, UsageError } from '../../../src/commands/command.ts';
import { mint } from '../../../src/commands/mint.ts';
import { ACCOUNT_SECRET, ipkOf, MSKID, outcomeOf, verifyRequest } from '../../support/message-signature.ts';
import { runCli } from '../../support/process.ts';
import { type RequestFields, signedRequest } from '../../support/signed-request.ts';
import { SECRET } from '../../support/token.ts';

const NOW = 1_795_500_000.75;
const folder = mkdtempSync(join(tmpdir(), 'mint-'));
afterAll(() => rmSync(folder, { recursive: true }));

function fileWith(name: string, content: string | Buffer): string {
  const file = join(folder, name);
  writeFileSync(file, content);
  return file;
}

const SECRET_FILE = fileWith('secret', SECRET);
const ACCOUNT_FILE = fileWith('account', ACCOUNT_SECRET.toString('base64'));
const CONFIG = fileWith(
  'config.yaml',
  `keys: [{id: current, secretFile: ${SECRET_FILE}}]
messageSigningKeys: [{id: account, mskid: ${MSKID}, secretFile: ${ACCOUNT_FILE}}]
policies:
  default: {mode: enforce}
  session: {mode: enforce, tokenHeader: authorization, tokenPrefix: "Bearer "}
routes: [{pathPrefix: /session, policy: session}]
`,
);
/** Not text, so that any change of its bytes shows. */
const BODY = Buffer.from([0x7b, 0xff, 0x00, 0x0a, 0x7d]);
const BODY_FILE = fileWith('body', BODY);

async function run(args: readonly string[], stdin = ''): Promise<string[]> {
  const lines: string[] = [];
  const io = {
    env: { APPROOV_CONFIG: CONFIG },
    out: (line: string) => void lines.push(line),
    nowSeconds: () => NOW,
    readStdin: async () => stdin,
  } as unknown as Io;
  expect(await mint.run(new Options(args, mint.options, mint), io)).toBe(0);
  return lines;
}

async function signed(...args: readonly string[]): Promise<Readonly<Record<string, string>>> {
  const lines = await run(['--sign-request', ...args]);
  return Object.fromEntries(lines.map((line) => /^([^:]+): (.*)$/.exec(line)?.slice(1) ?? [line, '']));
}

function claimsOf(token = ''): Readonly<Record<string, unknown>> {
  return JSON.parse(Buffer.from(token.split('.')[1] ?? '', 'base64url').toString()) as Record<
    string,
    unknown
  >;
}

/** The outcome of a request with these headers and a token that is trusted. */
function decide(headers: Readonly<Record<string, string>>, request: RequestFields = {}, now = NOW): string {
  const claims = claimsOf(headers['approov-token'] ?? headers['authorization']);
  return outcomeOf(verifyRequest(signedRequest({ ...request, headers }), { claims, now }));
}

const GET = ['GET', 'https://api.example.com/v1/shapes'];
const NOT_VERIFIED = 'invalid_message_signature: not_verified';

describe('the printed headers of a signed request', () => {
  test('are those that an app sends: token, input and signature', async () => {
    const headers = await signed(...GET);
    expect(Object.keys(headers)).toEqual(['approov-token', 'signature-input', 'signature']);
    expect(headers['signature-input']).toBe(
      'install=("@method" "@target-uri" "approov-token");created=1795500000;expires=1795500015;alg="ecdsa-p256-sha256"',
    );
    expect(decide(headers)).toBe('verified');
    expect(decide(headers, { method: 'PUT' })).toBe(NOT_VERIFIED);
    expect(decide(headers, { path: '/v1/other' })).toBe(NOT_VERIFIED);
    expect(decide(headers, {}, NOW + 15 + 60)).toBe('message_signature_expired: expired');
  });

  test('have the digest of the body, and cover its length, which the client adds', async () => {
    const headers = await signed('POST', 'https://api.example.com/v1/shapes', '--body-file', BODY_FILE);
    expect(Object.keys(headers)).toEqual(['approov-token', 'content-digest', 'signature-input', 'signature']);
    expect(headers['signature-input']).toContain(
      '("@method" "@target-uri" "approov-token" "content-length" "content-digest")',
    );
    const send = (bytes: Buffer): string =>
      decide(
        { ...headers, 'content-length': `${bytes.length}` },
        { method: 'POST', body: { kind: 'complete', bytes } },
      );
    expect(send(BODY)).toBe('verified');
    expect(send(Buffer.from([0x7b, 0xff, 0x00, 0x0a, 0x7e]))).toBe('content_digest_mismatch');
    expect(send(BODY.subarray(1))).toBe(NOT_VERIFIED);
  });

  test('have the headers of the request, of which the signature covers those that SDKs cover', async () => {
    const given = ['--header', 'Authorization:  Bearer abc', '--header', 'X-Other: caf\u00e9: x'];
    const headers = await signed(...GET, ...given);
    expect(headers).toMatchObject({ authorization: 'Bearer abc', 'x-other': 'caf\u00e9: x' });
    expect(headers['signature-input']).toContain(
      '("@method" "@target-uri" "approov-token" "authorization");created',
    );
    expect(decide(headers)).toBe('verified');
    expect(decide({ ...headers, authorization: 'Bearer abd' })).toBe(NOT_VERIFIED);
  });

  test.each([
    ['http://127.0.0.1:10000', { scheme: 'http', authority: '127.0.0.1:10000', path: '/' }],
    ['https://[2001:db8::1]:8443/a?b=c#d', { authority: '[2001:db8::1]:8443', path: '/a?b=c' }],
    ['https://api.example.com/a/../%62?', { path: '/a/../%62?' }],
    ['https://api.example.com?q', { path: '/?q' }],
  ])('sign the URL %s as written, but without its fragment', async (url, request) => {
    expect(decide(await signed('GET', url), request)).toBe('verified');
  });

  test('have the token in the header, and with the prefix, of the policy that applies', async () => {
    const headers = await signed('GET', 'https://api.example.com/session/x');
    expect(headers['authorization']).toMatch(/^bearer [\w.-]+$/);
    expect(headers['signature-input']).toContain('("@method" "@target-uri" "authorization");created');
  });

  test('have a token with the claims that the other options add', async () => {
    const { 'approov-token': token } = await signed(...GET, '--claim', 'arc=ABC', '--bind', 'Bearer abc');
    expect(claimsOf(token)).toMatchObject({ arc: 'ABC', pay: expect.any(String), ipk: expect.any(String) });
  });
});

describe('the key of the installation', () => {
  const ipk = async (...args: readonly string[]): Promise<unknown> =>
    claimsOf((await signed(...GET, ...args))['approov-token'])['ipk'];

  test('is a new one each time', async () => {
    expect(await ipk()).not.toBe(await ipk());
  });

  test('is created in the file of --install-key for its owner alone, and used again', async () => {
    const file = join(folder, 'phone.pem');
    const first = await ipk('--install-key', file);
    expect(statSync(file).mode & 0o777).toBe(0o600);
    const pem = readFileSync(file, 'utf8');
    expect(first).toBe(ipkOf(createPublicKey(pem)));
    expect(await ipk('--install-key', file)).toBe(first);
    expect(readFileSync(file, 'utf8')).toBe(pem);
  });

  test('does not verify with the token of another installation', async () => {
    const stolen = (await signed(...GET))['approov-token'] ?? '';
    const headers = await signed(...GET, '--token', stolen);
    expect(headers['approov-token']).toBe(stolen);
    expect(decide(headers)).toBe(NOT_VERIFIED);
  });

  test('signs again with the token of the same installation', async () => {
    const file = join(folder, 'same.pem');
    const token = (await signed(...GET, '--install-key', file))['approov-token'] ?? '';
    const lines = await run(['--sign-request', ...GET, '--install-key', file, '--token', '-'], `${token}\n`);
    expect(lines[0]).toBe(`approov-token: ${token}`);
    const headers = lines.map((line) => line.split(': ') as [string, string]);
    expect(decide(Object.fromEntries(headers))).toBe('verified');
  });
});

describe('an account key', () => {
  test('signs too if --account names it, and the token names it in mskid', async () => {
    const headers = await signed(...GET, '--account', 'account');
    const claims = claimsOf(headers['approov-token']);
    expect(claims['mskid']).toBe(MSKID);
    expect(headers['signature']).toMatch(/^install=:.*:, account=:.*:$/);
    const options = { install: 'required', account: 'required' } as const;
    expect(outcomeOf(verifyRequest(signedRequest({ headers }), { claims, options }))).toBe('verified');
  });

  test('is not used otherwise', async () => {
    const headers = await signed(...GET);
    expect(headers['signature']).toMatch(/^install=:[^:]*:$/);
    expect(claimsOf(headers['approov-token'])).not.toHaveProperty('mskid');
  });
});

describe('mint --sign-request rejects', () => {
  const rsa = fileWith(
    'rsa.pem',
    generateKeyPairSync('rsa', {
      modulusLength: 2048,
      publicKeyEncoding: { type: 'spki', format: 'pem' },
      privateKeyEncoding: { type: 'pkcs8', format: 'pem' },
    }).privateKey,
  );
  const usage = '--sign-request: give METHOD and URL, such as GET https://api.example.com/orders';
  const notHttp =
    '--sign-request: the URL must be http or https with a host and no user name, such as https://api.example.com/orders';
  test.each<[args: string[], message: string]>([
    [['GET'], usage],
    [['GET', '/orders'], notHttp],
    [['GET', 'ftp://a/'], notHttp],
    [['GET', 'https://user:secret@a/'], notHttp],
    [['GET', 'https://a:b:c/'], notHttp],
    [['https://a/', 'GET'], usage],
    [['GET', 'https://a/caf\u00e9'], '--sign-request: the URL must be percent-encoded'],
    [['GET', 'https://a/ b'], '--sign-request: the URL must be percent-encoded'],
    [[...GET, '--header', 'no colon'], "--header: must be 'name: value'"],
    [[...GET, '--header', 'empty:'], "--header: must be 'name: value'"],
    [[...GET, '--header', 'a b: c'], "--header: must be 'name: value'"],
    [[...GET, '--header', 'a: b\nc: d'], '--header: has a control character'],
    [[...GET, '--header', 'Host: a'], '--header: host follows from the other options'],
    [[...GET, '--header', 'Approov-Token: a'], '--header: approov-token follows from the other options'],
    [[...GET, '--header', 'Signature: a'], '--header: signature follows from the other options'],
    [[...GET, '--body-file', '/none/body'], '--body-file: /none/body: no such file'],
    [[...GET, '--install-key', '/none/key'], '--install-key: /none/key: cannot be created (ENOENT)'],
    [[...GET, '--install-key', `${SECRET}/x`], '--install-key: cannot be created (ENOENT)'],
    [[...GET, '--install-key', CONFIG], `--install-key: ${CONFIG}: no private key in PEM`],
    [[...GET, '--install-key', rsa], `--install-key: ${rsa}: not a key of the curve P-256`],
    [[...GET, '--account', 'other'], '--account: unknown key of messageSigningKeys; known: account'],
    [[...GET, '--token', 'a\nb: c'], '--token: not a token'],
    [[...GET, '--token', ''], '--token: not a token'],
  ])('%j', async (args, message) => {
    await expect(run(['--sign-request', ...args])).rejects.toThrow(new UsageError(message));
  });

  test.each(['--header', '--body-file', '--install-key', '--account', '--token'])(
    '%s without it',
    async (option) => {
      await expect(run([option, 'x'])).rejects.toThrow(
        new UsageError(`${option}: needs --sign-request METHOD URL`),
      );
    },
  );
});

test('mint --sign-request prints only the headers, and nothing of the keys', async () => {
  const file = join(folder, 'cli.pem');
  const args = ['mint', '--sign-request', ...GET, '--install-key', file, '--config', CONFIG];
  const { code, stdout, stderr } = await runCli(args);
  expect({ code, stderr }).toEqual({ code: 0, stderr: '' });
  expect(stdout).toMatch(/^approov-token: [\w.-]+\nsignature-input: install=.*\nsignature: install=:.*:\n$/);
  const [, pem = ''] = readFileSync(file, 'utf8').split('\n');
  expect(stdout).not.toContain(pem);
});
