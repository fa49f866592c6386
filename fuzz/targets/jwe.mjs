/** Decrypts tokens with known secrets: none is accepted that was not encrypted with them, with a signed token inside. */
import assert from 'node:assert/strict';
import { createCipheriv, createHmac, createSecretKey } from 'node:crypto';
import { deflateRawSync } from 'node:zlib';
import { CompactToken } from '../../src/approov/compact-token.ts';
import { decryptToken, verifyDecrypted } from '../../src/approov/encrypted-token.ts';
import { createSymmetricKey } from '../../src/approov/keyset.ts';
import { Secret } from '../../src/approov/secret.ts';
import { startAttempts } from '../../src/approov/token.ts';

const SECRET = Buffer.alloc(64, 'fuzz');
const WRAPPING = Buffer.alloc(32, 'wrap');
const CLAIMS_KEY = Buffer.alloc(16, 'claims');
const CONTENT_KEY = Buffer.alloc(32, 'content');
const IV = Buffer.alloc(12, 'iv');
const CLAIMS_KID = 'claims';

const keyset = {
  keys: [createSymmetricKey({ id: 'secret' }, undefined, ['HS256'], Secret.parse(SECRET.toString('base64')))],
  missing: [],
};
/** @type {import('../../src/approov/encrypted-token.ts').DecryptionKey[]} */
const decryptionKeys = [
  {
    id: 'nested',
    kid: undefined,
    key: createSecretKey(WRAPPING),
    fingerprint: '',
    keyManagementAlgorithms: ['dir', 'A256KW', 'A256GCMKW'],
    contentEncryptionAlgorithms: ['A256GCM', 'A128CBC-HS256'],
    isNested: true,
  },
  {
    id: CLAIMS_KID,
    kid: CLAIMS_KID,
    key: createSecretKey(CLAIMS_KEY),
    fingerprint: '',
    keyManagementAlgorithms: ['dir'],
    contentEncryptionAlgorithms: ['A128GCM'],
    isNested: false,
  },
];

/** @param {string | Uint8Array} part */
const encode = (part) => Buffer.from(/** @type {string} */ (part)).toString('base64url');
const JWS_INPUT = `${encode('{"alg":"HS256"}')}.${encode('{"exp":1800000300}')}`;
const JWS = `${JWS_INPUT}.${createHmac('sha256', SECRET).update(JWS_INPUT).digest('base64url')}`;
const CLAIMS = '{"exp":1800000300}';

/** @param {string} header @param {string | Uint8Array} plaintext @param {Buffer} key @param {string} [encryptedKey] */
function encrypt(header, plaintext, key, encryptedKey = '') {
  const aad = Buffer.from(header, 'latin1').toString('base64url');
  const cipher = createCipheriv(key.length === 16 ? 'aes-128-gcm' : 'aes-256-gcm', key, IV);
  cipher.setAAD(Buffer.from(aad));
  const ciphertext = Buffer.concat([cipher.update(plaintext), cipher.final()]);
  return [aad, encryptedKey, encode(IV), encode(ciphertext), encode(cipher.getAuthTag())].join('.');
}

function wrappedKey() {
  const cipher = createCipheriv('id-aes256-wrap', WRAPPING, Buffer.alloc(8, 0xa6));
  return encode(Buffer.concat([cipher.update(CONTENT_KEY), cipher.final()]));
}

const DIRECT = '{"alg":"dir","enc":"A256GCM"}';
const GENUINE = [
  JWS,
  encrypt(DIRECT, JWS, WRAPPING),
  encrypt('{"alg":"dir","enc":"A256GCM","zip":"DEF"}', deflateRawSync(JWS), WRAPPING),
  encrypt('{"alg":"A256KW","enc":"A256GCM"}', JWS, CONTENT_KEY, wrappedKey()),
  encrypt(`{"alg":"dir","enc":"A128GCM","kid":"${CLAIMS_KID}"}`, CLAIMS, CLAIMS_KEY),
];

export const covers = ['encrypted-token', 'decryption-algorithm', 'compact-token'].map(
  (name) => `dist/approov/${name}.js`,
);

/** @param {Buffer} data a token; or, after `!`, a header and a plaintext with a line break between, which are encrypted here */
export async function fuzz(data) {
  const text = data.toString('latin1');
  const isOurs = text.startsWith('!');
  const token = new CompactToken(isOurs ? encryptLines(text.slice(1)) : text);
  const decryption = await decryptToken(token, decryptionKeys);
  const result = verifyDecrypted(token, decryption, keyset, 'host', startAttempts());
  if (result.kind === 'rejected') return;
  if (!isOurs) assert.ok(GENUINE.includes(text), 'a forged token was accepted');
  // What a nested key encrypts must be signed as well; claims are authenticated by their own key.
  else
    assert.ok(
      decryption.kind === 'signed' && decryption.token.text === JWS,
      'an unsigned token was accepted',
    );
}

/** @param {string} text */
function encryptLines(text) {
  const [header = '', ...plaintext] = text.split('\n');
  return encrypt(header, Buffer.from(plaintext.join('\n'), 'latin1'), WRAPPING);
}

export const seeds = [
  ...GENUINE,
  `!${DIRECT}\n${JWS}`,
  `!{"alg":"dir","enc":"A256GCM","zip":"DEF"}\n\x03\x00`,
];

export const words = [
  JWS,
  ...[
    '"alg":',
    '"enc":',
    '"kid":',
    '"zip":',
    '"crit":',
    '"epk":',
    '"p2c":',
    '"iv":',
    '"tag":',
    '"cty":"JWT"',
  ],
  ...[
    'dir',
    'A256KW',
    'A256GCMKW',
    'PBES2-HS256+A128KW',
    'ECDH-ES',
    'RSA-OAEP',
    'A128CBC-HS256',
    'A128GCM',
    'DEF',
  ].map((word) => `"${word}"`),
  CLAIMS_KID,
  '{"crv":"P-256"}',
  wrappedKey(),
];
