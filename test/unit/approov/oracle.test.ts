/** Tests that our verification agrees with jose's, except for a closed list of cases in which ours is stricter. */
import { createHmac } from 'node:crypto';
import fc from 'fast-check';
import { compactVerify, decodeJwt, errors, jwtVerify } from 'jose';
import { describe, expect, it } from 'vitest';
import { checkLifetime } from '../../../src/approov/claims.ts';
import { MAX_TOKEN_BYTES } from '../../../src/approov/compact-token.ts';
import { hasClaims } from '../../../src/approov/token.ts';
import { keysetOf, symmetricKey, tokenOrReason } from '../../support/check.ts';
import { OTHER_SECRET_BYTES, SECRET_BYTES } from '../../support/token.ts';

type Algorithm = (typeof ALGORITHMS)[number];

const ALGORITHMS = ['HS256', 'HS384', 'HS512'] as const;
const ALPHABET = 'ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_';
/** What jose's decoder skips. */
const BLANK = /[ \t\n\f\r]/;
const HASHES = { HS256: 'sha256', HS384: 'sha384', HS512: 'sha512' } as const;

const RUNS = 4000;

/** A case in which jose accepts a token and we must not. */
interface Stricter {
  readonly name: string;
  readonly because: string;
  appliesTo(token: string): boolean;
  /** A token that jose accepts and we reject for this reason alone. */
  readonly example: string;
  readonly failure: string;
}

const STRICTER: readonly Stricter[] = [
  {
    name: 'spare bits of a part’s last character that are not zero',
    because: 'else anybody could make a second text of a token, and what is kept by its text would miss',
    appliesTo: (token) => token.split('.').some((part) => hasSpareBits(part)),
    example: withSpareBit(signed()),
    failure: 'invalid_token_format',
  },
  {
    name: 'padding',
    because: 'RFC 7515 §2 has base64url without it',
    appliesTo: (token) => token.includes('='),
    example: `${signed()}=`,
    failure: 'invalid_token_format',
  },
  {
    name: 'white space inside or after a part',
    because: 'RFC 7515 §2 has base64url without it',
    appliesTo: (token) => BLANK.test(token),
    example: `${signed()}\n`,
    failure: 'invalid_token_format',
  },
  {
    name: 'a token over 8 KiB',
    because: 'real ones have a few hundred bytes, and each byte costs',
    appliesTo: (token) => token.length > MAX_TOKEN_BYTES,
    example: signed({ payload: JSON.stringify({ pad: 'x'.repeat(MAX_TOKEN_BYTES) }) }),
    failure: 'invalid_token_format',
  },
  {
    name: 'a byte order mark before header or payload',
    because: 'RFC 8259 §8.1 forbids to write one and leaves it to the reader',
    appliesTo: (token) =>
      token.split('.', 2).some((part) => Buffer.from(part, 'base64url').toString().startsWith('\ufeff')),
    example: signed({ payload: '\ufeff{}' }),
    failure: 'invalid_token_format',
  },
  {
    name: 'a `crit` that names b64',
    because: 'the contract knows no extension, and a token is never unencoded',
    appliesTo: (token) => Object.hasOwn(headerOf(token), 'crit'),
    example: signed({ header: '{"alg":"HS256","crit":["b64"],"b64":true}' }),
    failure: 'unsupported_token_algorithm',
  },
];

describe('deliberately stricter than jose', () => {
  it.each(STRICTER)('jose accepts $name and we do not', async ({ name, example, failure }) => {
    expect(await joseAnswer(example, ALGORITHMS)).toBe('verified');
    expect(ourAnswer(example, ALGORITHMS)).toBe(failure);
    expect(STRICTER.filter((place) => place.appliesTo(example)).map((place) => place.name)).toEqual([name]);
  });

  it.each([
    { name: 'a missing `exp`', payload: '{}', failure: 'missing_expiry' },
    { name: 'an `exp` that is not finite', payload: '{"exp":1e999}', failure: 'missing_expiry' },
    {
      name: 'an `nbf` that is not finite',
      payload: '{"exp":100,"nbf":-1e999}',
      failure: 'token_not_yet_valid',
    },
  ])('jose accepts $name and we do not', async ({ payload, failure }) => {
    const token = signed({ payload });
    expect(await joseLifetime(token, 50, 0)).toBe('valid');
    expect(ourLifetime(token, 50, 0)).toBe(failure);
  });

  it('a future iat is rejected by jose and ignored by us', async () => {
    const token = signed({ payload: '{"exp":100,"iat":"text"}' });
    expect(ourLifetime(token, 50, 0)).toBe('valid');
    expect(await joseLifetime(token, 50, 0)).toBe('ERR_JWT_CLAIM_VALIDATION_FAILED');
  });
});

describe('for random tokens', () => {
  it('we verify what jose verifies, except for the closed list', async () => {
    const seen = new Map<string, number>();
    await fc.assert(
      fc.asyncProperty(
        tokens(),
        fc.subarray([...ALGORITHMS], { minLength: 1 }),
        async (token, algorithms) => {
          const [ours, theirs] = [ourAnswer(token, algorithms), await joseAnswer(token, algorithms)];
          const stricter = STRICTER.filter((place) => place.appliesTo(token)).map((place) => place.name);
          expect({ token, verified: ours === 'verified' }).toEqual({
            token,
            verified: theirs === 'verified' && stricter.length === 0,
          });
          // The two failures that matter to an operator have the same name in both.
          if (ours === 'invalid_token_signature')
            expect(theirs).toBe('ERR_JWS_SIGNATURE_VERIFICATION_FAILED');
          if (theirs === 'ERR_JOSE_ALG_NOT_ALLOWED' && stricter.length === 0)
            expect(['unsupported_token_algorithm', 'invalid_token_format']).toContain(ours);
          const outcome = theirs === 'verified' && stricter.length > 0 ? 'stricter' : ours;
          seen.set(outcome, (seen.get(outcome) ?? 0) + 1);
        },
      ),
      { numRuns: RUNS },
    );
    // Each outcome occurs often enough to mean something.
    for (const outcome of [
      'verified',
      'stricter',
      'invalid_token_format',
      'invalid_token_signature',
      'unsupported_token_algorithm',
    ])
      expect(seen.get(outcome), outcome).toBeGreaterThan(60);
  });

  it('we accept the lifetimes that jose accepts with `exp` required', async () => {
    const seen = new Map<string, number>();
    const time = fc.oneof(
      fc.integer({ min: 80, max: 120 }),
      fc.constantFrom(99.5, 100.5, '100', null, true, [100]),
    );
    const claims = fc.record({ exp: time, nbf: time, other: fc.anything() }, { requiredKeys: [] });
    await fc.assert(
      fc.asyncProperty(claims, fc.integer({ min: 0, max: 5 }), async (value, toleranceSeconds) => {
        const token = signed({ payload: JSON.stringify(value) });
        const ours = ourLifetime(token, 100, toleranceSeconds);
        const theirs = await joseLifetime(token, 100, toleranceSeconds, ['exp']);
        expect({ value, isValid: ours === 'valid' }).toEqual({ value, isValid: theirs === 'valid' });
        if (theirs === 'ERR_JWT_EXPIRED') expect(ours).toBe('token_expired');
        seen.set(ours, (seen.get(ours) ?? 0) + 1);
      }),
      { numRuns: RUNS / 4 },
    );
    for (const outcome of ['valid', 'missing_expiry', 'token_expired', 'token_not_yet_valid'])
      expect(seen.get(outcome), outcome).toBeGreaterThan(60);
  });
});

function ourAnswer(token: string, algorithms: readonly Algorithm[]): string {
  const result = tokenOrReason(token, keysetOf(symmetricKey({ algorithms })));
  if (typeof result === 'string') return result;
  return hasClaims(result) ? 'verified' : 'invalid_token_format';
}

/** Verified for us means a valid signature over a payload that is a JSON object. */
async function joseAnswer(token: string, algorithms: readonly Algorithm[]): Promise<string> {
  try {
    await compactVerify(token, SECRET_BYTES, { algorithms: [...algorithms] });
    decodeJwt(token);
    return 'verified';
  } catch (error) {
    return codeOf(error);
  }
}

function ourLifetime(token: string, nowSeconds: number, toleranceSeconds: number): string {
  const verified = tokenOrReason(token);
  if (typeof verified === 'string') return verified;
  return checkLifetime(verified, nowSeconds, toleranceSeconds) ?? 'valid';
}

async function joseLifetime(
  token: string,
  nowSeconds: number,
  toleranceSeconds: number,
  requiredClaims: string[] = [],
): Promise<string> {
  try {
    const currentDate = new Date(nowSeconds * 1000);
    await jwtVerify(token, SECRET_BYTES, { clockTolerance: toleranceSeconds, currentDate, requiredClaims });
    return 'valid';
  } catch (error) {
    return codeOf(error);
  }
}

/** jose's code for a failure; any other error is a bug and is rethrown. */
function codeOf(error: unknown): string {
  if (error instanceof errors.JOSEError) return error.code;
  throw error;
}

/** Valid tokens, unusual ones with a valid signature, and either of them altered. */
function tokens(): fc.Arbitrary<string> {
  const pieces = fc.record({
    algorithm: fc.constantFrom(...ALGORITHMS),
    header: headers(),
    payload: payloads(),
    secret: fc.oneof(
      { weight: 6, arbitrary: fc.constant(SECRET_BYTES) },
      { weight: 1, arbitrary: fc.constant(OTHER_SECRET_BYTES) },
    ),
    write: fc.tuple(writings(), writings(), writings()),
  });
  const change = fc.record({ apply: fc.constantFrom(...CHANGES), at: fc.nat(), choice: fc.nat() });
  const changes = fc.oneof(
    { weight: 3, arbitrary: fc.constant([]) },
    { weight: 2, arbitrary: fc.array(change, { minLength: 1, maxLength: 3 }) },
  );
  return fc.tuple(pieces, changes).map(([{ algorithm, header, ...rest }, made]) => {
    const token = signed({ ...rest, algorithm, header: header(algorithm) });
    return made.reduce((text, { apply, at, choice }) => apply(text, at % (text.length + 1), choice), token);
  });
}

type HeaderWriter = (alg: Algorithm) => string | Buffer;

function headers(): fc.Arbitrary<HeaderWriter> {
  const name = fc.constantFrom('alg', 'typ', 'kid', 'cty', 'b64', 'crit', 'zip', 'enc', 'exp', '__proto__');
  return fc.oneof(
    { weight: 8, arbitrary: fc.constant<HeaderWriter>((alg) => JSON.stringify({ alg, typ: 'JWT' })) },
    {
      weight: 3,
      arbitrary: fc
        .dictionary(name, fc.jsonValue())
        .map<HeaderWriter>((fields) => (alg) => JSON.stringify({ alg, ...fields })),
    },
    { weight: 4, arbitrary: fc.constantFrom(...ODD_HEADERS) },
  );
}

const ODD_HEADERS: readonly HeaderWriter[] = [
  ...['none', 'None', '', 'hs256', 'HS256', 'HS384', 'HS512', 'RS256', 'HS256 ', 256, null, ['HS256']].map(
    (other) => () => JSON.stringify({ alg: other }),
  ),
  (alg) => `{"alg":"none","alg":"${alg}"}`,
  (alg) => `{"alg":"${alg}","alg":"none"}`,
  (alg) => ` \n{ "alg" : "${alg}" } `,
  (alg) => `\ufeff{"alg":"${alg}"}`,
  (alg) => `{"alg":"${alg}"}x`,
  (alg) => `["${alg}"]`,
  (alg) => `"${alg}"`,
  (alg) => `{"ALG":"${alg}"}`,
  (alg) => `{"__proto__":{"alg":"${alg}"}}`,
  (alg) => Buffer.from(`{"alg":"${alg}","typ":"\xff"}`, 'latin1'),
  (alg) => JSON.stringify({ alg, crit: ['b64'], b64: true }),
  (alg) => JSON.stringify({ alg, crit: ['b64'], b64: false }),
  (alg) => JSON.stringify({ alg, crit: ['exp'], exp: 1 }),
  (alg) => JSON.stringify({ alg, b64: false }),
  () => '{}',
  () => 'null',
  () => '',
];

function payloads(): fc.Arbitrary<string | Buffer> {
  return fc.oneof(
    {
      weight: 6,
      arbitrary: fc.dictionary(fc.string(), fc.jsonValue()).map((claims) => JSON.stringify(claims)),
    },
    { weight: 1, arbitrary: fc.json() },
    { weight: 1, arbitrary: fc.uint8Array({ maxLength: 20 }).map((bytes) => Buffer.from(bytes)) },
    {
      weight: 2,
      arbitrary: fc.constantFrom(
        ...['', 'null', '[]', '{', '{"exp":1}{}', ' {"exp" : 1}\n', '{"exp":1,"exp":2}', '\ufeff{"exp":1}'],
        Buffer.from('{"did":"\xff"}', 'latin1'),
        Buffer.from('{"did":"\xed\xa0\x80"}', 'latin1'),
        JSON.stringify({ pad: 'x'.repeat(6200) }),
      ),
    },
  );
}

type Writing = 'base64url' | 'padded' | 'base64' | 'spaced' | 'spare bit set';

function writings(): fc.Arbitrary<Writing> {
  return fc.oneof(
    { weight: 20, arbitrary: fc.constant('base64url') },
    { weight: 1, arbitrary: fc.constantFrom<Writing>('padded', 'base64', 'spaced', 'spare bit set') },
  );
}

type Change = (token: string, at: number, choice: number) => string;

const CHANGES: readonly Change[] = [
  (token, at, bit) =>
    token.slice(0, at) + String.fromCharCode(token.charCodeAt(at) ^ (1 << (bit % 7))) + token.slice(at + 1),
  (token, at) => token.slice(0, at) + token.slice(at + 1),
  (token, at, which) => token.slice(0, at) + CHARACTERS.charAt(which % CHARACTERS.length) + token.slice(at),
  (token, _at, which) => token + CHARACTERS.charAt(which % CHARACTERS.length),
  (token, _at, which) => CHARACTERS.charAt(which % CHARACTERS.length) + token,
  (token, at) => token.slice(0, at),
  (token, at) => token.slice(at),
  (token, at) => token.slice(0, at) + token,
  (token) => token.split('.').reverse().join('.'),
  (token, _at, which) =>
    token
      .split('.')
      .toSpliced(which % 3, 1, '')
      .join('.'),
  (token) => withSpareBit(token),
  (token) => token.replaceAll('-', '+').replaceAll('_', '/'),
  (token) => `Bearer ${token}`,
];

const CHARACTERS = '.=+/-_,A \t\n\r\0é';

interface Pieces {
  readonly header?: string | Buffer;
  readonly payload?: string | Buffer;
  readonly algorithm?: Algorithm;
  readonly secret?: Buffer;
  /** How each of the three parts is written. */
  readonly write?: readonly Writing[];
}

function signed({ header, payload = '{"exp":100}', algorithm = 'HS256', secret, write = [] }: Pieces = {}) {
  const signingInput = [header ?? `{"alg":"${algorithm}"}`, payload]
    .map((part, index) => written(Buffer.from(part as string), write[index]))
    .join('.');
  const signature = createHmac(HASHES[algorithm], secret ?? SECRET_BYTES)
    .update(signingInput)
    .digest();
  return `${signingInput}.${written(signature, write[2])}`;
}

function written(bytes: Buffer, writing: Writing = 'base64url'): string {
  const text = bytes.toString('base64url');
  switch (writing) {
    case 'base64url':
      return text;
    case 'padded':
      return text.padEnd(Math.ceil(text.length / 4) * 4, '=');
    case 'base64':
      return bytes.toString('base64').replace(/=+$/, '');
    case 'spaced':
      return `${text.slice(0, 2)} ${text.slice(2)}`;
    case 'spare bit set':
      return withSpareBit(text);
  }
}

/** Sets the lowest spare bit of the last character, if it has one. */
function withSpareBit(text: string): string {
  const lastPart = text.slice(text.lastIndexOf('.') + 1);
  const value = ALPHABET.indexOf(text.charAt(text.length - 1));
  return lastPart.length % 4 < 2 ? text : text.slice(0, -1) + ALPHABET.charAt(value | 1);
}

function hasSpareBits(part: string): boolean {
  const text = part.replace(/[ \t\n\f\r=]/g, '');
  return Buffer.from(text, 'base64url').toString('base64url') !== text;
}

function headerOf(token: string): object {
  try {
    const text = Buffer.from(token.split('.', 1).join(), 'base64url').toString();
    return Object(JSON.parse(text.replace(/^\ufeff/, '')));
  } catch {
    return {};
  }
}
