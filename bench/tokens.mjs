/** Mints the tokens and signatures of the load. */
import { createHash, createHmac, generateKeyPairSync, randomBytes, sign } from 'node:crypto';

const TOKEN_LIFETIME_SECONDS = 6 * 3600;
const createdSeconds = Math.floor(Date.now() / 1000);
const appKey = generateKeyPairSync('ec', { namedCurve: 'P-256' });

/** The secrets of one run. In ASCII, as Rego knows no bytes. */
export const SECRETS = { token: newSecret(), account: newSecret(), other: newSecret() };
export const MSKID = 'j3AWy6';

function newSecret() {
  return Buffer.from(`for one run: ${randomBytes(32).toString('hex')}`);
}

/**
 * @param {Readonly<Record<string, unknown>>} claims besides those that every token of Approov has
 * @param {Buffer} [secret]
 */
export function mint(claims, secret = SECRETS.token) {
  const payload = {
    exp: createdSeconds + TOKEN_LIFETIME_SECONDS,
    did: randomBytes(16).toString('base64'),
    ip: '203.0.113.7',
    arc: 'IXPSB7TRK26LXE3M',
    ...claims,
  };
  const input = [{ alg: 'HS256', typ: 'JWT' }, payload]
    .map((part) => Buffer.from(JSON.stringify(part)).toString('base64url'))
    .join('.');
  return `${input}.${createHmac('sha256', secret).update(input).digest('base64url')}`;
}

/**
 * A token bound to a header's value.
 * @param {string} value
 */
export function mintBound(value) {
  return mint({ pay: createHash('sha256').update(value).digest('base64') });
}

/** A token that names the keys of message signatures. */
export function mintForSigning() {
  const ipk = appKey.publicKey.export({ type: 'spki', format: 'der' }).toString('base64');
  return mint({ ipk, mskid: MSKID });
}

const SIGNERS = {
  install: (/** @type {Buffer} */ base) =>
    sign('sha256', base, { key: appKey.privateKey, dsaEncoding: 'ieee-p1363' }),
  account: (/** @type {Buffer} */ base) => createHmac('sha256', SECRETS.account).update(base).digest(),
};

/** @typedef {keyof typeof SIGNERS} SignatureLabel */

/**
 * Signs as the SDKs do by default.
 * @param {Readonly<Record<string, string>>} headers
 * @param {SignatureLabel} label
 * @param {string} targetUri
 */
export function signatureHeaders(headers, label, targetUri) {
  const lines = [
    '"@method": GET',
    `"@target-uri": ${targetUri}`,
    ...['approov-token', 'authorization', 'content-type'].map((name) => `"${name}": ${headers[name]}`),
  ];
  const covered = lines.map((line) => line.slice(0, line.indexOf(':'))).join(' ');
  const input = `(${covered});created=${createdSeconds}`;
  const base = Buffer.from([...lines, `"@signature-params": ${input}`].join('\n'));
  return {
    'signature-input': `${label}=${input}`,
    signature: `${label}=:${SIGNERS[label](base).toString('base64')}:`,
  };
}
