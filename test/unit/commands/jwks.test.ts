/** Tests which keys `jwks` writes, into which files, and what it warns of. */
import {
  chmodSync,
  existsSync,
  lstatSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { importJWK, jwtVerify } from 'jose';
import { afterAll, beforeEach, describe, expect, test } from 'vitest';
import { runInProcess } from '../../support/in-process.ts';
import {
  fingerprint,
  freshToken,
  OTHER_SECRET,
  OTHER_SECRET_BYTES,
  SECRET,
  SECRET_BYTES,
} from '../../support/token.ts';

const folder = mkdtempSync(join(tmpdir(), 'jwks-'));
afterAll(() => rmSync(folder, { recursive: true }));

const OUTPUT = join(folder, 'out', 'jwk-set.json');
const CURRENT = `{id: current, secretFile: ${folder}/current}`;
const NEXT = `{id: next, kid: k2, algorithms: [HS512, HS256], secretFile: ${folder}/next}`;
const PUBLIC = `{id: public, jwksFile: ${folder}/public.json}`;
writeFileSync(join(folder, 'current'), SECRET);
writeFileSync(join(folder, 'next'), OTHER_SECRET);
writeFileSync(
  join(folder, 'public.json'),
  JSON.stringify({
    keys: [{ kty: 'OKP', crv: 'Ed25519', x: '11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo' }],
  }),
);

beforeEach(() => {
  rmSync(join(folder, 'out'), { recursive: true, force: true });
  mkdirSync(join(folder, 'out'));
});

function run(config: string, file: string = OUTPUT) {
  writeFileSync(join(folder, 'config.yaml'), config);
  return runInProcess(['jwks', '--config', join(folder, 'config.yaml'), '--output', file]);
}

function written(): { keys: Record<string, unknown>[] } {
  return JSON.parse(readFileSync(OUTPUT, 'utf8'));
}

describe('the JWK Set', () => {
  test('has a member for each algorithm of each shared secret, with its kid', async () => {
    expect(await run(`keys: [${CURRENT}, ${NEXT}]`)).toEqual({
      code: 0,
      stdout: `wrote 2 keys: current (fingerprint ${fingerprint(SECRET_BYTES)}), next (fingerprint ${fingerprint(OTHER_SECRET_BYTES)})\n`,
      stderr: '',
    });
    const next = { kty: 'oct', use: 'sig', kid: 'k2', k: OTHER_SECRET_BYTES.toString('base64url') };
    expect(written()).toEqual({
      keys: [
        { kty: 'oct', use: 'sig', alg: 'HS256', k: SECRET_BYTES.toString('base64url') },
        { ...next, alg: 'HS512' },
        { ...next, alg: 'HS256' },
      ],
    });
  });

  test('verifies the tokens of the secret in another JOSE library', async () => {
    await run(`keys: [${CURRENT}]`);
    const [member = {}] = written().keys;
    const { payload } = await jwtVerify(freshToken({ did: 'a-device' }), await importJWK(member));
    expect(payload['did']).toBe('a-device');
  });

  test('has the secret of the environment', async () => {
    const { code } = await runInProcess(['jwks', '--output', OUTPUT], { APPROOV_BASE64_SECRET: SECRET });
    expect(code).toBe(0);
    expect(written().keys.map(({ k }) => k)).toEqual([SECRET_BYTES.toString('base64url')]);
  });

  test('has no decryption key and no message signing key', async () => {
    const decryption = join(folder, 'decryption');
    writeFileSync(decryption, Buffer.alloc(32, 'decryption').toString('base64'));
    const others = [
      `decryptionKeys: [{id: opens, secretFile: ${decryption}}]`,
      `messageSigningKeys: [{id: signs, mskid: j3AWy6, secretFile: ${folder}/next}]`,
    ];
    expect((await run([`keys: [${CURRENT}]`, ...others].join('\n'))).code).toBe(0);
    expect(written().keys.map(({ k }) => k)).toEqual([SECRET_BYTES.toString('base64url')]);
  });

  test('leaves out public keys and keys limited to hosts, and says so', async () => {
    const limited = `{id: eu, hosts: [eu.example.com], secretFile: ${folder}/next}`;
    const { code, stderr } = await run(`keys: [${PUBLIC}, ${limited}, ${CURRENT}]`);
    expect(code).toBe(0);
    expect(stderr.split('\n')).toEqual([
      'warning: keys[0].jwksFile: public is left out, as it has public keys: give Envoy its JWK Set in a provider of its own, or leave its tokens to the service',
      'warning: keys[1].secretFile: eu is left out, as Envoy would use it for every host, not only for its `hosts`',
      '',
    ]);
    expect(written().keys.map(({ k }) => k)).toEqual([SECRET_BYTES.toString('base64url')]);
  });

  test('is not written if no key is left', async () => {
    expect(await run(`keys: [${PUBLIC}]`)).toEqual({
      code: 2,
      stdout: '',
      stderr:
        'approov-ext-authz: no key to write: only shared secrets without `hosts` are written, and none is configured (see approov-ext-authz jwks --help)\n',
    });
    expect(existsSync(OUTPUT)).toBe(false);
  });
});

describe('the file', () => {
  test('can be read by its owner alone, whatever the umask', async () => {
    const umask = process.umask(0);
    try {
      await run(`keys: [${CURRENT}]`);
    } finally {
      process.umask(umask);
    }
    expect(statSync(OUTPUT).mode & 0o777).toBe(0o600);
  });

  test('is replaced at once, so that a reader never sees half of it', async () => {
    writeFileSync(OUTPUT, 'old', { mode: 0o600 });
    const before = statSync(OUTPUT).ino;
    expect((await run(`keys: [${CURRENT}]`)).code).toBe(0);
    expect(statSync(OUTPUT).ino).not.toBe(before);
    expect(written().keys).toHaveLength(1);
    expect(readdirSync(join(folder, 'out'))).toEqual(['jwk-set.json']);
  });

  test.skipIf(process.getuid?.() !== 0)('keeps its owner, such as the user that Envoy runs as', async () => {
    const { chownSync } = await import('node:fs');
    writeFileSync(OUTPUT, 'old', { mode: 0o600 });
    chownSync(OUTPUT, 101, 102);
    expect((await run(`keys: [${CURRENT}]`)).code).toBe(0);
    const { uid, gid, mode } = statSync(OUTPUT);
    expect([uid, gid, mode & 0o777]).toEqual([101, 102, 0o600]);
  });

  const refusals: readonly [what: string, prepare: () => void, problem: string][] = [
    [
      'that others can read',
      () => {
        writeFileSync(OUTPUT, 'old');
        chmodSync(OUTPUT, 0o640);
      },
      `${OUTPUT}: has mode 0640, must be 0600: chmod 600 it first`,
    ],
    [
      'that is a symbolic link',
      () => {
        writeFileSync(join(folder, 'out/target'), 'old', { mode: 0o600 });
        symlinkSync(join(folder, 'out/target'), OUTPUT);
      },
      `${OUTPUT}: is a symbolic link: name the file itself`,
    ],
    ['that is a directory', () => mkdirSync(OUTPUT), `${OUTPUT}: is a directory`],
    [
      'in a folder that does not exist',
      () => rmSync(join(folder, 'out'), { recursive: true }),
      `${OUTPUT}: no such directory`,
    ],
  ];
  test.each(refusals)('%s is refused and left as it was', async (_, prepare, problem) => {
    prepare();
    const before = existsSync(OUTPUT) ? lstatSync(OUTPUT).ino : undefined;
    expect(await run(`keys: [${CURRENT}]`)).toEqual({
      code: 2,
      stdout: '',
      stderr: `approov-ext-authz: --output: ${problem} (see approov-ext-authz jwks --help)\n`,
    });
    expect(existsSync(OUTPUT) ? lstatSync(OUTPUT).ino : undefined).toBe(before);
    const left = existsSync(join(folder, 'out')) ? readdirSync(join(folder, 'out')) : [];
    expect(left.filter((name) => name.endsWith('.tmp'))).toEqual([]);
  });

  test.each(['/dev/stdout', '/dev/null', '-', ''])(
    '%j is refused, and no secret is printed',
    async (name) => {
      const { code, stdout, stderr } = await run(`keys: [${CURRENT}]`, name);
      expect({ code, stdout }).toEqual({ code: 2, stdout: '' });
      expect(stderr).toMatch(
        /^approov-ext-authz: --output: (name a file; the JWK Set contains secrets, so it is never printed|\/dev\/\w+: (is a symbolic link: name the file itself|not a regular file)) \(see .*\)\n$/,
      );
    },
  );

  test('is not named in an error if its name looks like a secret', async () => {
    const { stderr } = await run(`keys: [${CURRENT}]`, `/nowhere/${SECRET.replaceAll('/', '_')}`);
    expect(stderr).toBe(
      'approov-ext-authz: --output: no such directory (see approov-ext-authz jwks --help)\n',
    );
  });
});

describe('a policy is warned of if Envoy would decide otherwise', () => {
  test.each([
    ['mode: observe', 'mode: requests that Envoy verifies are missing from its counts'],
    ['tokenHeader: x-token', 'tokenHeader: name it in the provider (from_headers)'],
    ['tokenPrefix: "Bearer "', 'tokenPrefix: name it in the provider (from_headers)'],
    [
      'binding: {headers: [authorization], when: required}',
      'binding: Envoy accepts tokens without a binding: exclude its routes from jwt_authn',
    ],
    ['issuer: approov.io', 'issuer: Envoy accepts every issuer, unless its provider names one'],
    ['audience: host', 'audience: Envoy accepts every audience, unless its provider names some'],
    ['forwardToken: false', 'forwardToken: set `forward: false` in the provider'],
    [
      'messageSignature: {install: required}',
      'messageSignature: Envoy accepts unsigned requests whose token has neither ipk nor mskid',
    ],
  ])('with %s', async (setting, warning) => {
    const { code, stderr } = await run(`keys: [${CURRENT}]\npolicies: {default: {${setting}}}`);
    expect(code).toBe(0);
    expect(stderr.startsWith(`warning: policies.default.${warning}`)).toBe(true);
    expect(stderr.trimEnd().split('\n')).toHaveLength(1);
  });

  test('and not for what Envoy leaves to the service, or a policy that is off', async () => {
    const policies = [
      'default: {binding: {headers: [authorization], when: if-present}, messageSignature: {install: when-ipk}}',
      'open: {mode: off, issuer: approov.io}',
    ];
    expect((await run(`keys: [${CURRENT}]\npolicies: {${policies.join(', ')}}`)).stderr).toBe('');
  });
});
