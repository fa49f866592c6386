/** Tests that changed, moved and made-up message signatures are refused, whatever their form. */
import { createPublicKey, sign } from 'node:crypto';
import { describe, expect, it } from 'vitest';
import { canonicalSignature } from '../../../../src/approov/message-signature/ecdsa-signature.ts';
import { generateKeyPair } from '../../../support/key-pair.ts';
import {
  byteSequence,
  CLAIMS,
  decideSigned,
  INSTALL_KEY,
  ipkOf,
  LINES,
  MSKID,
  outcomeOf,
  PARAMETERS,
  signAccount,
  signInstall,
  signLines,
  verifyRequest,
} from '../../../support/message-signature.ts';
import { type RequestFields, signedRequest } from '../../../support/signed-request.ts';

const NOT_VERIFIED = 'invalid_message_signature: not_verified';
const INPUT = `("@method" "@target-uri" "approov-token")${PARAMETERS}`;
const BASE = [...LINES, ['"@signature-params"', INPUT]].map((line) => line.join(': ')).join('\n');
const SIGNED = signLines({ lines: LINES });

function decide(
  headers: RequestFields['headers'],
  circumstances: Parameters<typeof verifyRequest>[1] = {},
  request: RequestFields = {},
): string {
  const all = { 'approov-token': 'token', ...headers };
  return outcomeOf(verifyRequest(signedRequest({ ...request, headers: all }), circumstances));
}

/** The outcome of these bytes, or this text of a member, as the install signature. */
function decideSignature(
  signature: Buffer | string,
  circumstances?: Parameters<typeof verifyRequest>[1],
): string {
  const text = typeof signature === 'string' ? signature : byteSequence(signature);
  return decide({ 'signature-input': `install=${INPUT}`, signature: `install=${text}` }, circumstances);
}

describe('the covered components of a signed request', () => {
  const withInput = (input: string): string => decide({ ...SIGNED, 'signature-input': `install=${input}` });

  it('are the signed ones: the request verifies as it is', () => {
    expect(withInput(INPUT)).toBe('verified');
  });

  it.each([
    ['one is removed', INPUT.replace(' "approov-token"', ''), NOT_VERIFIED],
    ['all are removed', `()${PARAMETERS}`, NOT_VERIFIED],
    ['two are swapped', INPUT.replace('"@method" "@target-uri"', '"@target-uri" "@method"'), NOT_VERIFIED],
    ['one is added', INPUT.replace('"@method"', '"@method" "@scheme"'), NOT_VERIFIED],
    [
      'an absent one is added',
      INPUT.replace('"@method"', '"@method" "x"'),
      'invalid_message_signature: missing_component',
    ],
    [
      'one is repeated',
      INPUT.replace('"@method"', '"@method" "@method"'),
      'invalid_message_signature: duplicate_component',
    ],
    [
      'one has a parameter',
      INPUT.replace('"approov-token"', '"approov-token";sf'),
      'invalid_message_signature: unsupported_component',
    ],
    ['a blank is added', INPUT.replace(' ', '  '), NOT_VERIFIED],
    ['a blank is added before the parameters', INPUT.replace(';', '; '), NOT_VERIFIED],
  ])('fail if %s', (_, input, outcome) => {
    expect(withInput(input)).toBe(outcome);
  });

  it.each([
    [
      'the parameters are reordered',
      `;alg="ecdsa-p256-sha256"${PARAMETERS.replace(';alg="ecdsa-p256-sha256"', '')}`,
      NOT_VERIFIED,
    ],
    ['a parameter is removed', PARAMETERS.replace(/;alg="[^"]*"/, ''), NOT_VERIFIED],
    ['a parameter is added', `${PARAMETERS};tag="x"`, NOT_VERIFIED],
    ['`expires` is repeated with a later time', `${PARAMETERS};expires=9999999999`, NOT_VERIFIED],
    ['`created` is later', PARAMETERS.replace('created=1795', 'created=1796'), NOT_VERIFIED],
    [
      '`created` is removed',
      PARAMETERS.replace(/;created=\d+/, ''),
      'invalid_message_signature: missing_created',
    ],
  ])('fail if %s', (_, parameters, outcome) => {
    expect(withInput(INPUT.replace(PARAMETERS, parameters))).toBe(outcome);
  });

  it.each([
    ['the token is another', { headers: { 'approov-token': 'other' } }],
    ['the token is there twice', { headers: { 'approov-token': ['token', 'token'] } }],
    ['the method is another', { method: 'POST' }],
    ['the method has another case', { method: 'get' }],
    ['the path is another', { path: '/v1/shapes/' }],
    ['a query is added', { path: '/v1/shapes?' }],
    ['the path is encoded', { path: '/v1/shape%73' }],
    ['the host is another', { authority: 'api.example.org' }],
    ['the port is another', { authority: 'api.example.com:8443' }],
    ['the scheme is another', { scheme: 'http' }],
  ] as const)('fail if %s', (_, request) => {
    const headers = { ...SIGNED, ...('headers' in request ? request.headers : {}) };
    expect(decide(headers, {}, request)).toBe(NOT_VERIFIED);
  });

  it('cannot be extended by a value with a line break', () => {
    const lines = [...LINES, ['"x"', 'a\n"@path": /admin']] as const;
    const request = { headers: { x: 'a\n"@path": /admin' } };
    expect(decideSigned({ lines, request })).toBe('invalid_message_signature: missing_component');
  });
});

describe('the label of a signature', () => {
  const account = signLines({ label: 'account', lines: LINES });
  const options = { account: 'required' } as const;

  it.each([
    ['only in Signature-Input', { 'signature-input': SIGNED['signature-input'] }, 'unpaired_label'],
    ['only in Signature', { signature: SIGNED.signature }, 'unpaired_label'],
    [
      'another in Signature',
      { ...SIGNED, signature: SIGNED.signature.replace('install', 'sig1') },
      'unpaired_label',
    ],
    [
      'twice in Signature',
      { ...SIGNED, signature: `${SIGNED.signature}, ${SIGNED.signature}` },
      'duplicate_key',
    ],
    [
      'twice in Signature-Input',
      { ...SIGNED, 'signature-input': [SIGNED['signature-input'], SIGNED['signature-input']] },
      'duplicate_key',
    ],
    ['in upper case', { ...SIGNED, signature: SIGNED.signature.replace('install', 'Install') }, 'malformed'],
  ])('is refused if it is %s', (_, headers, problem) => {
    expect(decide(headers)).toBe(`invalid_message_signature: ${problem}`);
  });

  it('is missing if the signature has another one', () => {
    const headers = {
      'signature-input': SIGNED['signature-input'].replace('install', 'sig1'),
      signature: SIGNED.signature.replace('install', 'sig1'),
    };
    expect(decide(headers)).toBe('missing_message_signature');
  });

  it('does not make one kind of signature pass for the other', () => {
    const swap = (text: string): string =>
      text.replace(/install|account/g, (label) => (label === 'install' ? 'account' : 'install'));
    const both = [SIGNED, account].map((each) => ({
      'signature-input': swap(each['signature-input']),
      signature: swap(each.signature),
    }));
    const headers = {
      'signature-input': both.map((each) => each['signature-input']),
      signature: both.map(({ signature }) => signature),
    };
    expect(decide(headers, { options })).toBe('invalid_message_signature: wrong_algorithm');
  });

  it('does not make a public key an HMAC key', () => {
    const key = Buffer.from(CLAIMS.ipk, 'base64');
    const parameters = PARAMETERS.replace(/;alg="[^"]*"/, '');
    const input = INPUT.replace(PARAMETERS, parameters);
    const mac = signAccount(BASE.replace(PARAMETERS, parameters), key);
    const headers = { 'signature-input': `install=${input}`, signature: `install=${byteSequence(mac)}` };
    expect(decide(headers)).toBe('invalid_message_signature: wrong_form');
  });

  it('does not make an account key of a mskid that is not the token’s', () => {
    const headers = signLines({ label: 'account', lines: LINES });
    const circumstances = {
      options: { install: 'off', account: 'required' },
      claims: { mskid: `${MSKID}x` },
    } as const;
    expect(decide(headers, circumstances)).toBe('invalid_message_signature: no_key');
  });
});

describe('the algorithm of a signature', () => {
  it.each([
    'rsa-pss-sha512',
    'rsa-v1_5-sha256',
    'ecdsa-p384-sha384',
    'ed25519',
    'hmac-sha256',
    'none',
    '',
    'ECDSA-P256-SHA256',
  ])('is refused if it is signed as "%s"', (algorithm) => {
    const parameters = PARAMETERS.replace('ecdsa-p256-sha256', algorithm);
    expect(decideSigned({ parameters })).toBe('invalid_message_signature: wrong_algorithm');
  });

  it('is SHA-256, not another hash', () => {
    const key = { key: INSTALL_KEY.privateKey, dsaEncoding: 'ieee-p1363' } as const;
    expect(decideSignature(sign('sha256', Buffer.from(BASE), key))).toBe('verified');
    expect(decideSignature(sign('sha384', Buffer.from(BASE), key))).toBe(NOT_VERIFIED);
  });
});

describe('the bytes of an install signature', () => {
  const raw = signInstall(BASE);
  const der = sign('sha256', Buffer.from(BASE), INSTALL_KEY.privateKey);
  const order = Buffer.from('ffffffff00000000ffffffffffffffffbce6faada7179e84f3b9cac2fc632551', 'hex');
  const zero = Buffer.alloc(32);
  const r = raw.subarray(0, 32);

  it.each([
    ['all zero', Buffer.alloc(64)],
    ['(r, 0)', Buffer.concat([r, zero])],
    ['(0, s)', Buffer.concat([zero, raw.subarray(32)])],
    ['(r, n)', Buffer.concat([r, order])],
    ['(n, n)', Buffer.concat([order, order])],
    ['all ones', Buffer.alloc(64, 0xff)],
    ['(s, r)', Buffer.concat([raw.subarray(32), r])],
    ['that of another key', signInstall(BASE, generateKeyPair('ec', { namedCurve: 'P-256' }).privateKey)],
    ['that of another base', signInstall(`${BASE}\n`)],
  ])('are not valid if they are %s', (_, signature) => {
    expect(decideSignature(signature)).toBe(NOT_VERIFIED);
  });

  it.each([
    ['empty', Buffer.alloc(0)],
    ['63 bytes', raw.subarray(1)],
    ['65 bytes', Buffer.concat([raw, zero.subarray(0, 1)])],
    ['DER', der],
    ['a token', raw.toString('base64').replace(/[^A-Za-z]/g, 'x')],
    ['hexadecimal', `"${raw.toString('hex')}"`],
    ['a number', '1'],
    ['true', '?1'],
    ['an inner list', `("${raw.toString('base64')}")`],
  ])('have the wrong form if they are %s', (_, signature) => {
    expect(decideSignature(signature)).toBe('invalid_message_signature: wrong_form');
  });

  it('are accepted in DER by option, but not in a form that is not DER', () => {
    const options = { acceptDerSignatures: true };
    expect(decideSignature(der, { options })).toBe('verified');
    expect(decideSignature(raw, { options })).toBe('verified');
    const trailing = Buffer.concat([der, zero.subarray(0, 1)]);
    expect(decideSignature(trailing, { options })).toBe('invalid_message_signature: wrong_form');
  });

  it('are also valid as (r, n − s), which a replay store must not take for another signature', () => {
    const s = BigInt(`0x${raw.toString('hex', 32)}`);
    const mirrored = (BigInt(`0x${order.toString('hex')}`) - s).toString(16).padStart(64, '0');
    const other = Buffer.concat([r, Buffer.from(mirrored, 'hex')]);
    expect(decideSignature(other)).toBe('verified');
    expect(canonicalSignature(other)).toEqual(canonicalSignature(raw));
  });
});

describe('the bytes of an account signature', () => {
  const options = { install: 'off', account: 'required' } as const;
  const parameters = PARAMETERS.replace('ecdsa-p256-sha256', 'hmac-sha256');
  const input = INPUT.replace(PARAMETERS, parameters);
  const mac = signAccount(BASE.replace(PARAMETERS, parameters));
  const decideMac = (bytes: Buffer): string =>
    decide(
      { 'signature-input': `account=${input}`, signature: `account=${byteSequence(bytes)}` },
      { options },
    );

  it.each([
    ['verified', 'as they are', mac],
    [NOT_VERIFIED, 'all zero', Buffer.alloc(32)],
    [
      NOT_VERIFIED,
      'those of another secret',
      signAccount(BASE.replace(PARAMETERS, parameters), Buffer.alloc(32)),
    ],
    ['invalid_message_signature: wrong_form', 'cut', mac.subarray(0, 31)],
    ['invalid_message_signature: wrong_form', 'extended', Buffer.concat([mac, mac])],
    ['invalid_message_signature: wrong_form', 'empty', Buffer.alloc(0)],
  ])('are %s if they are %s', (outcome, _, bytes) => {
    expect(decideMac(bytes)).toBe(outcome);
  });
});

describe('an ipk', () => {
  const pem = createPublicKey(INSTALL_KEY.privateKey).export({ type: 'spki', format: 'pem' }).toString();
  const offCurve = Buffer.from(CLAIMS.ipk, 'base64');
  offCurve[offCurve.length - 1] = (offCurve.at(-1) ?? 0) ^ 1;
  /** With another byte in the encoding before the point. */
  const changedAt = (index: number): string => {
    const der = Buffer.from(CLAIMS.ipk, 'base64');
    der[index] = (der[index] ?? 0) ^ 2;
    return der.toString('base64');
  };

  it.each([
    ['P-384', ipkOf(generateKeyPair('ec', { namedCurve: 'P-384' }).publicKey)],
    ['secp256k1', ipkOf(generateKeyPair('ec', { namedCurve: 'secp256k1' }).publicKey)],
    ['Ed25519', ipkOf(generateKeyPair('ed25519').publicKey)],
    ['RSA', ipkOf(generateKeyPair('rsa', { modulusLength: 2048 }).publicKey)],
    ['a point off the curve', offCurve.toString('base64')],
    ['of another curve by its name', changedAt(22)],
    ['a hybrid point', changedAt(26)],
    ['not a sequence', changedAt(0)],
    ['PEM', pem],
    ['a private key', INSTALL_KEY.privateKey.export({ type: 'pkcs8', format: 'der' }).toString('base64')],
    [
      'followed by more',
      Buffer.concat([Buffer.from(CLAIMS.ipk, 'base64'), Buffer.alloc(1)]).toString('base64'),
    ],
    ['huge', 'A'.repeat(100_000)],
    ['empty', ''],
  ])('is refused if it is %s', (_, ipk) => {
    expect(decide(SIGNED, { claims: { ipk } })).toBe('invalid_message_signature: no_key');
  });
});

describe('a huge or hostile header', () => {
  it.each([
    ['commas', ','.repeat(60_000)],
    ['quotes', '"'.repeat(60_000)],
    ['parentheses', '('.repeat(60_000)],
    ['blanks', ' '.repeat(60_000)],
    ['labels', Array.from({ length: 10_000 }, (_, index) => `a${index}`).join()],
  ])('of %s is refused', (_, text) => {
    expect(decide({ ...SIGNED, 'signature-input': text })).toBe('invalid_message_signature: too_long');
    expect(decide({ ...SIGNED, signature: text })).toBe('invalid_message_signature: too_long');
  });

  it.each([
    ['commas', ','.repeat(4000)],
    ['quotes', '"'.repeat(4001)],
    ['parentheses', `install=${'('.repeat(4000)}`],
    ['control characters', `install=(${'\u0001'.repeat(100)})`],
    ['bytes that are not ASCII', `install=("${'\u00ff'.repeat(100)}");created=1`],
  ])('of %s is malformed', (_, text) => {
    expect(decide({ ...SIGNED, 'signature-input': text })).toBe('invalid_message_signature: malformed');
  });

  it('that is covered is verified like any other', () => {
    const value = 'x'.repeat(60_000);
    const lines = [...LINES, ['"x"', value]] as const;
    expect(decideSigned({ lines, request: { headers: { x: value } } })).toBe('verified');
    expect(decideSigned({ lines, request: { headers: { x: `${value}y` } } })).toBe(NOT_VERIFIED);
  });
});
