/** Owns the proof that a certificate, key or client CA that would not serve is found before it is used. */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, describe, expect, it } from 'vitest';
import { parseTls, TlsError } from '../../../src/net/tls-material.ts';
import { createCa, issueCertificate } from '../../support/certificate.ts';

const folder = mkdtempSync(join(tmpdir(), 'tls-files-'));
const ca = createCa(folder, 'ca');
const other = createCa(folder, 'other-ca');
const { cert, key } = issueCertificate(folder, 'localhost', ca);
afterAll(() => rmSync(folder, { recursive: true }));

const cut = (pem: string): string => pem.slice(0, pem.length / 2);
/** The same length, another content: base64 still, but no certificate. */
const spoilt = (pem: string): string => pem.replace(/\nMII/, '\nAAA');

describe('parseTls takes', () => {
  it.each([
    ['a certificate and its key', cert, undefined],
    ['a chain', cert + ca.cert, undefined],
    ['a client CA', cert, ca.cert],
    ['several client CAs, with words between', cert, `one\n${ca.cert}\ntwo\n${other.cert}`],
  ])('%s', (_what, chain, clientCa) => {
    expect(parseTls(chain, key, clientCa)).toEqual({ cert: chain, key, clientCa });
  });
});

describe('parseTls refuses', () => {
  const mismatch = 'not a certificate and its key in PEM (ERR_OSSL_X509_KEY_VALUES_MISMATCH)';
  const noCa = 'the client CA holds no certificate in PEM';
  const badCa = 'the client CA holds a certificate that cannot be read';

  it.each<[what: string, cert: string, key: string, clientCa: string | undefined, message: string | RegExp]>([
    ['a key that belongs to another certificate', cert, other.key, undefined, mismatch],
    ['files that are both empty, as when they are being written', '', '', undefined, 'no certificate in PEM'],
    ['an empty certificate', '', key, undefined, 'no certificate in PEM'],
    ['an empty key', cert, '', undefined, 'no private key in PEM'],
    ['a certificate that is none', 'x', key, undefined, 'no certificate in PEM'],
    ['a key that is none', cert, 'x', undefined, 'no private key in PEM'],
    ['the one in place of the other', key, cert, undefined, 'no certificate in PEM'],
    ['a certificate that is cut off', cut(cert), key, undefined, /^not a certificate and its key in PEM \(/],
    [
      'a certificate that is spoilt',
      spoilt(cert),
      key,
      undefined,
      /^not a certificate and its key in PEM \(/,
    ],
    [
      'a chain that is cut off',
      cert + cut(ca.cert),
      key,
      undefined,
      /^not a certificate and its key in PEM \(/,
    ],
    ['a key that is cut off', cert, cut(key), undefined, /^not a certificate and its key in PEM \(/],
    ['an empty client CA', cert, key, '', noCa],
    ['a client CA that is none', cert, key, 'x', noCa],
    ['a client CA that is a key', cert, key, key, noCa],
    ['a client CA that is cut off', cert, key, cut(ca.cert), noCa],
    ['a client CA that is spoilt', cert, key, spoilt(ca.cert), badCa],
    ['client CAs of which the last is cut off', cert, key, ca.cert + cut(other.cert), badCa],
  ])('%s', (_what, chain, privateKey, clientCa, message) => {
    const parse = (): unknown => parseTls(chain, privateKey, clientCa);
    expect(parse).toThrow(TlsError);
    expect(parse).toThrow(typeof message === 'string' ? expect.objectContaining({ message }) : message);
  });

  it('without a word of what the key holds', () => {
    const [, line = ''] = key.split('\n');
    for (const parse of [() => parseTls(cert, cut(key), undefined), () => parseTls(key, key, undefined)]) {
      expect(parse).toThrow(
        expect.objectContaining({ message: expect.not.stringContaining(line.slice(0, 16)) }),
      );
    }
  });
});
