/** Verifies message signatures: none is accepted for another request than the one that was signed. */
import assert from 'node:assert/strict';
import { parseDictionary as parseWhole } from 'structured-headers';
import { parseDictionary } from '../../src/approov/message-signature/dictionary.ts';
import { InstallKeys } from '../../src/approov/message-signature/install-keys.ts';
import { signatureBases } from '../../src/approov/message-signature/signature-base.ts';
import { parseSignatureInput } from '../../src/approov/message-signature/signature-input.ts';
import { verifyMessageSignature } from '../../src/approov/message-signature/verify-message-signature.ts';
import { Secret } from '../../src/approov/secret.ts';
import {
  assertAcceptable,
  assertGenuine,
  assertStrict,
  GENUINE,
  GENUINE_PARTS,
  NOW,
  options,
  PARAMETERS,
  SECRET,
  sign,
  TRUNCATED,
} from '../support/signed-requests.mjs';

const LIMITS = { bytes: 4096, members: 8 };

const keys = {
  installKeys: new InstallKeys(),
  /** @param {string} mskid */
  accountKey: (mskid) =>
    mskid === 'm' ? { id: 'm', secret: Secret.parse(SECRET.toString('base64')) } : undefined,
};
/** Other options, which a request after `#` must meet. */
const STRICT = /** @type {const} */ ({
  contentDigest: 'required',
  requiredComponents: ['@path'],
  install: 'off',
});

/** The lines of an input. */
const FIELDS = [
  'signature-input',
  'signature',
  'method',
  'authority',
  'path',
  'approov-token',
  'content-digest',
  'content-length',
  'body',
];

/** @param {Readonly<Record<string, string>>} fields */
function requestOf(fields) {
  const { method = '', authority = '', path = '', body } = fields;
  return {
    method,
    scheme: 'https',
    authority,
    path,
    body: bodyOf(body),
    /** @param {string} name */
    headerValues: (name) => (fields[name] === undefined ? [] : [Buffer.from(fields[name], 'latin1')]),
  };
}

/** @param {string | undefined} text @returns {import('../../src/approov/message-signature/signed-request.ts').RequestBody} */
function bodyOf(text) {
  if (text === undefined) return { kind: 'unseen' };
  return text === TRUNCATED
    ? { kind: 'truncated' }
    : { kind: 'complete', bytes: Buffer.from(text, 'latin1') };
}

export const covers = [
  ...['base-digest', 'component', 'content-digest', 'dictionary', 'field-component', 'query-parameters'],
  ...['required-components', 'signature-base', 'signature-input', 'signature-kind', 'signature-lifetime'],
  ...['signed-request', 'target', 'verify-message-signature', 'verify-signature'],
].map((name) => `dist/approov/message-signature/${name}.js`);

/**
 * @param {Buffer} data a line for each of FIELDS; after `!` or `#`, the request is signed here, so that what follows the signature
 *   is reached as well; after `?`, one dictionary
 */
export function fuzz(data) {
  const text = data.toString('latin1');
  if (text.startsWith('?')) return fuzzDictionary(text.slice(1));
  const isOurs = /^[!#]/.test(text);
  const lines = text.slice(isOurs ? 1 : 0).split('\n');
  /** @type {Record<string, string>} */
  const fields = {};
  FIELDS.forEach((name, index) => {
    const line = index === FIELDS.length - 1 ? lines.slice(index).join('\n') : lines[index];
    if (line !== undefined && line !== '') fields[name] = line;
  });
  if (isOurs) fields['signature'] = signedBy(fields);
  const attempts = { publicKeysLeft: 8 };
  const request = requestOf(fields);
  const asked = text.startsWith('#') ? { ...options, ...STRICT } : options;
  const context = { request, options: asked, claims: { mskid: 'm' }, keys, attempts };
  const result = verifyMessageSignature(context, NOW);
  assert.notEqual(result.kind, 'not_required');
  if (result.kind !== 'verified') return;
  if (asked !== options) assertStrict(fields);
  else if (isOurs) assertAcceptable(fields);
  else assertGenuine(fields);
}

/** A signature over the request as the RFC reads it. @param {Record<string, string>} fields */
function signedBy(fields) {
  const parsed = parseDictionary(fields['signature-input'] ?? '', LIMITS);
  const member = parsed.kind === 'dictionary' ? parsed.members.get('account') : undefined;
  const input = member && parseSignatureInput(member);
  if (input?.kind !== 'input') return sign('');
  const [base] = signatureBases(input.input, requestOf(fields));
  return sign(base?.text ?? '');
}

/** @param {string} text */
function parseByLibrary(text) {
  // A field value has no blanks at its ends.
  const trimmed = text.replace(/^[ \t]+|[ \t]+$/g, '');
  try {
    return trimmed === '' ? new Map() : parseWhole(trimmed);
  } catch (error) {
    // It refuses a date that is not the last of the text.
    if (text.includes('@')) return undefined;
    throw error;
  }
}

/** The library reads the same, or we refuse. @param {string} text */
function fuzzDictionary(text) {
  const result = parseDictionary(text, LIMITS);
  if (result.kind !== 'dictionary') return;
  const whole = parseByLibrary(text);
  if (whole === undefined) return;
  assert.deepEqual([...result.members.keys()], [...whole.keys()]);
  for (const [key, { text: own, value }] of result.members) {
    assert.deepEqual(value, whole.get(key));
    assert.ok(text.includes(own));
    const parsed = parseSignatureInput({ text: own, value });
    if (parsed.kind === 'input') assert.ok(Number.isInteger(parsed.input.created));
  }
}

/** @param {Readonly<Record<string, string>>} changes */
const lines = (changes) => FIELDS.map((name) => ({ ...GENUINE, ...changes })[name] ?? '').join('\n');

export const seeds = [
  lines({}),
  lines(GENUINE_PARTS),
  lines({ ...GENUINE_PARTS, path: '/v1%2Fa%20b?c=d' }),
  `!${lines({})}`,
  `!${lines({ 'signature-input': `account=("@method" "@authority" "@path" "@query" "approov-token");created=${NOW}` })}`,
  `!${lines({ 'signature-input': `account=("@method" "@query-param";name="a" "@target-uri" "approov-token");created=${NOW};alg="hmac-sha256"` })}`,
  `!${lines({ 'signature-input': `account=("@method" "@target-uri");created=${NOW}` })}`,
  ...[-361, -360, -359, 60, 61].map(
    (age) =>
      `!${lines({ 'signature-input': `account=("@method" "@target-uri" "approov-token");created=${NOW + age}` })}`,
  ),
  `#${lines({ 'signature-input': `account=("@path" "content-digest");created=${NOW}` })}`,
  `#${lines({ 'signature-input': `account=("@path");created=${NOW}`, body: '', 'content-digest': '' })}`,
  `#${lines({ 'signature-input': `account=("@path" "content-digest");created=${NOW}`, body: TRUNCATED })}`,
  lines({
    'signature-input': `install=${PARAMETERS}`,
    signature: `install=:${Buffer.alloc(64, 1).toString('base64')}:`,
  }),
  `?a=1, b=:YQ==:;x, c=("d" e);created=1;f=?1, g="h\\"", i=-1.5`,
];

const COMPONENTS =
  '"@method" "@target-uri" "@authority" "@scheme" "@request-target" "@path" "@query" "@status" "@query-param";name="a" "approov-token" "content-digest" "x";sf "x";bs';
const OTHER_WORDS =
  ';created= ;expires= ;alg= "hmac-sha256" "ecdsa-p256-sha256" ;nonce=" ;keyid=" account= install= , ( ) ?1 :YQ==: %20 %2F %2f %5E %00 / ? & = :443 :80 [::1] API sha-512=:';

export const words = [
  ...[...COMPONENTS.split(' '), ...OTHER_WORDS.split(' '), String(NOW), ', ', ' ', '\t', '\r\n '],
  Buffer.of(0xff),
];
