/** Tests which claims `mint` signs, and with which key. */
import { createHash, createHmac, generateKeyPairSync } from 'node:crypto';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, describe, expect, test } from 'vitest';
import { type Io, Options, UsageError } from '../../../src/commands/command.ts';
import { mint } from '../../../src/commands/mint.ts';
import { ConfigError } from '../../../src/config/config.ts';
import { runCli } from '../../support/process.ts';
import { OTHER_SECRET, OTHER_SECRET_BYTES, SECRET, SECRET_BYTES } from '../../support/token.ts';

const NOW = 1_795_500_000.75;
const folder = mkdtempSync(join(tmpdir(), 'mint-'));
afterAll(() => rmSync(folder, { recursive: true }));
writeFileSync(join(folder, 'current'), SECRET);
writeFileSync(join(folder, 'next'), OTHER_SECRET);
const CONFIG = join(folder, 'config.yaml');
writeFileSync(
  CONFIG,
  `keys: [{id: current, secretFile: ${folder}/current}, {id: next, kid: k2, algorithms: [HS512, HS256], secretFile: ${folder}/next}]`,
);

/** The lines that `mint` prints; it must exit 0. */
async function run(args: readonly string[], env: Io['env'] = { APPROOV_CONFIG: CONFIG }): Promise<string[]> {
  const lines: string[] = [];
  const io = { env, out: (line: string) => void lines.push(line), nowSeconds: () => NOW } as unknown as Io;
  expect(await mint.run(new Options(args, mint.options), io)).toBe(0);
  return lines;
}

interface Token {
  readonly header: unknown;
  readonly claims: Readonly<Record<string, unknown>>;
  isSignedBy(hash: string, secret: Buffer): boolean;
}

async function mintedBy(...args: readonly string[]): Promise<Token> {
  const [token = '', ...rest] = await run(args);
  expect(rest).toEqual([]);
  const [header = '', claims = '', signature] = token.split('.');
  const parse = (part: string): unknown => JSON.parse(Buffer.from(part, 'base64url').toString());
  return {
    header: parse(header),
    claims: parse(claims) as Record<string, unknown>,
    isSignedBy: (hash, secret) =>
      createHmac(hash, secret).update(`${header}.${claims}`).digest('base64url') === signature,
  };
}

describe('a minted token', () => {
  test('is signed by the first key and expires in five minutes by default', async () => {
    const token = await mintedBy();
    expect(token.header).toEqual({ alg: 'HS256', typ: 'JWT' });
    expect(token.claims).toMatchObject({
      exp: Math.floor(NOW + 300),
      did: expect.any(String),
      ip: expect.any(String),
    });
    expect(token.isSignedBy('sha256', SECRET_BYTES)).toBe(true);
  });

  test('is signed by the key in --key-id, with its kid and its first algorithm', async () => {
    const token = await mintedBy('--key-id', 'next');
    expect(token.header).toEqual({ alg: 'HS512', typ: 'JWT', kid: 'k2' });
    expect(token.isSignedBy('sha512', OTHER_SECRET_BYTES)).toBe(true);
  });

  test('is signed by the secret from the environment', async () => {
    const [token = ''] = await run(['--key-id', 'env'], { APPROOV_BASE64_SECRET: OTHER_SECRET });
    const input = token.slice(0, token.lastIndexOf('.'));
    expect(token).toBe(
      `${input}.${createHmac('sha256', OTHER_SECRET_BYTES).update(input).digest('base64url')}`,
    );
  });

  test.each<[life: string, exp: number]>([
    ['90s', Math.floor(NOW + 90)],
    ['1h', Math.floor(NOW + 3600)],
    ['-1m', Math.floor(NOW - 60)],
  ])('expires in %s', async (life, exp) => {
    expect((await mintedBy(`--expires-in=${life}`)).claims['exp']).toBe(exp);
  });

  test('has a pay claim under --bind: the SHA-256 of the trimmed and concatenated values', async () => {
    const hash = (text: string): string => createHash('sha256').update(text).digest('base64');
    expect((await mintedBy()).claims).not.toHaveProperty('pay');
    expect((await mintedBy('--bind', 'Bearer abc')).claims['pay']).toBe(hash('Bearer abc'));
    expect((await mintedBy('--bind', ' a\t', '--bind', 'ü')).claims['pay']).toBe(hash('aü'));
  });

  test('has the claims of --claim, parsed as JSON where possible, else as text', async () => {
    const args = [
      'arc=ABC',
      'n=1.5',
      'yes=true',
      'list=["a","b"]',
      'eq=a=b',
      'empty=',
      'text="1"',
      'did=mine',
      'exp=7',
    ];
    const { claims } = await mintedBy(...args.flatMap((claim) => ['--claim', claim]));
    expect(claims).toMatchObject({
      arc: 'ABC',
      n: 1.5,
      yes: true,
      list: ['a', 'b'],
      eq: 'a=b',
      empty: '',
      text: '1',
      did: 'mine',
      exp: 7,
    });
  });

  test('under --invalid has the same header and claims, and a signature that no key verifies', async () => {
    const [valid, invalid] = [
      await mintedBy('--claim', 'a=1'),
      await mintedBy('--claim', 'a=1', '--invalid'),
    ];
    expect([invalid.header, invalid.claims]).toEqual([valid.header, valid.claims]);
    expect([SECRET_BYTES, OTHER_SECRET_BYTES].map((secret) => invalid.isSignedBy('sha256', secret))).toEqual([
      false,
      false,
    ]);
  });
});

describe('mint rejects', () => {
  test.each<[args: string[], message: string]>([
    [['--key-id', 'none'], '--key-id: unknown symmetric key; known: current, next'],
    [['--expires-in', 'soon'], '--expires-in: must be a duration such as 90s, 5m or 1h'],
    [['--claim', 'planted'], '--claim: must be NAME=VALUE'],
    [['--claim', '=planted'], '--claim: must be NAME=VALUE'],
    [['--claim', 'exp=1e999'], '--claim: number out of range'],
    [['--claim', 'deep={"a":[-1e999]}'], '--claim: number out of range'],
  ])('%j', async (args, message) => {
    await expect(run(args)).rejects.toThrow(new UsageError(message));
  });

  test('a configuration with public keys only', async () => {
    const { publicKey } = generateKeyPairSync('rsa', { modulusLength: 2048 });
    writeFileSync(join(folder, 'public.pem'), publicKey.export({ type: 'spki', format: 'pem' }));
    const config = join(folder, 'public.yaml');
    writeFileSync(config, `keys: [{id: a, pemFile: ${folder}/public.pem, algorithms: [RS256]}]`);
    await expect(run([], { APPROOV_CONFIG: config })).rejects.toThrow(
      'no key to sign with: only a shared secret',
    );
  });

  test('a configuration without a key', async () => {
    await expect(run([], {})).rejects.toBeInstanceOf(ConfigError);
  });
});

test('mint prints only the token on stdout, and one line on stderr for an error', async () => {
  const env = { APPROOV_BASE64_SECRET: SECRET };
  const minted = await runCli(['mint', '--bind', 'Bearer abc'], env);
  expect(minted).toMatchObject({
    code: 0,
    stderr: '',
    stdout: expect.stringMatching(/^[\w-]+\.[\w-]+\.[\w-]+\n$/),
  });
  const rejected = await runCli(['mint', '--key-id', 'x'], env);
  expect(rejected).toMatchObject({
    code: 2,
    stdout: '',
    stderr: expect.stringMatching(/^approov-ext-authz: --key-id: [^\n]*\n$/),
  });
});
