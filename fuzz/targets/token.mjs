/** Verifies tokens with two known keys: no token is accepted that neither of them signed, byte for byte. */
import assert from 'node:assert/strict';
import { createECDH, createHmac, createPrivateKey, createPublicKey, sign } from 'node:crypto';
import { checkLifetime, hasAudience, hasIssuer } from '../../src/approov/claims.ts';
import { CompactToken, MAX_TOKEN_BYTES } from '../../src/approov/compact-token.ts';
import { createAsymmetricKey, createSymmetricKey } from '../../src/approov/keyset.ts';
import { parsePem } from '../../src/approov/public-key.ts';
import { Secret } from '../../src/approov/secret.ts';
import { hasClaims, verifyToken } from '../../src/approov/token.ts';

const NOW = 1_800_000_000;
const SECRET = Buffer.alloc(64, 'fuzz');
const EC_KID = 'ec';
/** Issuers and audiences that are accepted. */
const NAMES = ['us', 'you'];

const ecdh = createECDH('prime256v1');
ecdh.setPrivateKey(Buffer.alloc(32, 'fuzz'));
const point = ecdh.getPublicKey();
const EC_KEY = createPrivateKey({
  key: {
    kty: 'EC',
    crv: 'P-256',
    d: ecdh.getPrivateKey().toString('base64url'),
    x: point.toString('base64url', 1, 33),
    y: point.toString('base64url', 33),
  },
  format: 'jwk',
});
const EC_PEM = createPublicKey(EC_KEY).export({ type: 'spki', format: 'pem' }).toString();

const keyset = {
  keys: [
    createSymmetricKey({ id: 'secret' }, undefined, ['HS256'], Secret.parse(SECRET.toString('base64'))),
    createAsymmetricKey({ id: EC_KID }, parsePem(EC_PEM, ['ES256']), EC_KID),
  ],
  missing: [],
};

/** @param {string} header @param {string} payload */
const signingInput = (header, payload) =>
  [header, payload].map((part) => Buffer.from(part, 'latin1').toString('base64url')).join('.');
/** @param {string} input */
const hmac = (input) => createHmac('sha256', SECRET).update(input).digest('base64url');
/** @param {string} input */
const ecdsa = (input) =>
  sign('sha256', Buffer.from(input), { key: EC_KEY, dsaEncoding: 'ieee-p1363' }).toString('base64url');

const CLAIMS = `{"exp":${NOW + 300},"nbf":${NOW - 9},"did":"x"}`;
const HMAC_INPUT = signingInput('{"alg":"HS256","typ":"JWT"}', CLAIMS);
const EC_INPUT = signingInput(`{"alg":"ES256","kid":"${EC_KID}"}`, CLAIMS);
const HMAC_TOKEN = `${HMAC_INPUT}.${hmac(HMAC_INPUT)}`;

export const covers = ['token', 'compact-token', 'keyset', 'claims', 'base64', 'algorithm'].map(
  (name) => `dist/approov/${name}.js`,
);

/** @param {Buffer} data a token; or, after `!`, a header and claims with a line break between, which are signed here */
export function fuzz(data) {
  const text = data.toString('latin1');
  if (text.startsWith('!')) fuzzSigned(text.slice(1));
  else fuzzForged(text);
}

/** @param {string} text */
function fuzzForged(text) {
  const result = verifyToken(new CompactToken(text), keyset, 'host');
  if (result.kind === 'rejected') return;
  // An ECDSA signature has more than one form.
  const isGenuine = text === HMAC_TOKEN || text.slice(0, text.lastIndexOf('.')) === EC_INPUT;
  assert.ok(isGenuine, 'a forged token was accepted');
  assert.deepEqual(result.token.claims, JSON.parse(CLAIMS));
}

/** @param {string} text */
function fuzzSigned(text) {
  const [header = '', ...payload] = text.split('\n');
  const input = signingInput(header, payload.join('\n'));
  const token = `${input}.${hmac(input)}`;
  const result = verifyToken(new CompactToken(token), keyset, 'host');
  const expected = token.length <= MAX_TOKEN_BYTES && payload.join('\n') !== '' && isHeaderFor(parse(header));
  assert.equal(result.kind === 'verified', expected, 'header and outcome do not agree');
  if (result.kind === 'rejected') return;
  const claims = parse(payload.join('\n'));
  assert.equal(hasClaims(result.token), claims !== undefined);
  const isCurrent = checkLifetime(result.token, NOW, 0) === undefined;
  assert.equal(isCurrent, isAlive(claims), 'claims and outcome do not agree');
  const { iss, aud } = claims ?? {};
  assert.equal(
    hasIssuer(result.token, NAMES),
    NAMES.some((name) => name === iss),
  );
  assert.equal(
    hasAudience(result.token, NAMES),
    NAMES.some((name) => [aud].flat().includes(name)),
  );
}

/** @param {string} text latin1 @returns {Record<string, unknown> | undefined} */
function parse(text) {
  try {
    const bytes = Buffer.from(text, 'latin1');
    const value = JSON.parse(new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(bytes));
    return Object.prototype.toString.call(value) === '[object Object]' ? value : undefined;
  } catch {
    return undefined;
  }
}

/** @param {Record<string, unknown> | undefined} header */
function isHeaderFor(header) {
  return header?.['alg'] === 'HS256' && !('crit' in header) && header['kid'] !== EC_KID;
}

/** @param {Record<string, unknown> | undefined} claims */
function isAlive(claims) {
  const { exp, nbf = 0 } = claims ?? {};
  return Number.isFinite(exp) && Number(exp) > NOW && Number.isFinite(nbf) && Number(nbf) <= NOW;
}

export const seeds = [
  HMAC_TOKEN,
  `${EC_INPUT}.${ecdsa(EC_INPUT)}`,
  `${HMAC_TOKEN}.a.b`,
  `!{"alg":"HS256"}\n${CLAIMS}`,
  `!{"alg":"HS256"}\n{"exp":${NOW + 1},"iss":"us","aud":["a","you"]}`,
  `!{"alg":"HS256"}\n{"exp":${NOW + 1},"iss":"","aud":"you"}`,
  `!{"alg":"HS256","kid":"a","crit":["b64"],"b64":false}\n{"exp":1e400}`,
  // Claims of one line break: signed bytes that are no JSON.
  '!{"alg":"HS256"}\n\n',
];

export const words = [
  HMAC_TOKEN,
  '"alg":',
  ...['none', 'HS256', 'HS384', 'ES256', 'EdDSA', 'Ed25519', '__proto__', EC_KID].map((word) => `"${word}"`),
  ...[
    '"kid":',
    '"crit":',
    '"exp":',
    '"nbf":',
    '"iss":',
    '"aud":',
    '"us"',
    '""',
    'null',
    '1e400',
    '-1',
    '1.5',
    '{}',
    '[]',
    '\\u0061',
    '\xef\xbb\xbf',
  ].map((word) => Buffer.from(word, 'latin1')),
];
