/** Tests the validation of certificates, private keys and client CAs. */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, describe, expect, it } from 'vitest';
import { parseTls, TlsError } from '../../../src/net/tls-material.ts';
import { createCa, issueCertificate } from '../../support/certificate.ts';

const folder = mkdtempSync(join(tmpdir(), 'tls-material-'));
const ca = createCa(folder, 'ca');
const other = createCa(folder, 'other-ca');
const { cert, key } = issueCertificate(folder, 'localhost', ca);
afterAll(() => rmSync(folder, { recursive: true }));

const truncated = (pem: string): string => pem.slice(0, pem.length / 2);
/** Still base64 of the same length, but not a certificate. */
const corrupt = (pem: string): string => pem.replace(/\nMII/, '\nAAA');

describe('parseTls accepts', () => {
  it.each([
    ['a certificate and its key', cert, undefined],
    ['a chain', cert + ca.cert, undefined],
    ['a client CA', cert, ca.cert],
    ['several client CAs with text between them', cert, `one\n${ca.cert}\ntwo\n${other.cert}`],
  ])('%s', (_what, chain, clientCa) => {
    expect(parseTls(chain, key, clientCa)).toEqual({ cert: chain, key, clientCa });
  });
});

describe('parseTls rejects', () => {
  const mismatch = 'not a certificate and its key in PEM (ERR_OSSL_X509_KEY_VALUES_MISMATCH)';
  const noCa = 'the client CA holds no certificate in PEM';
  const badCa = 'the client CA holds a certificate that cannot be read';

  it.each<[what: string, cert: string, key: string, clientCa: string | undefined, message: string | RegExp]>([
    ['a key of another certificate', cert, other.key, undefined, mismatch],
    ['two empty files, as while they are being written', '', '', undefined, 'no certificate in PEM'],
    ['an empty certificate', '', key, undefined, 'no certificate in PEM'],
    ['an empty key', cert, '', undefined, 'no private key in PEM'],
    ['a certificate file without a certificate', 'x', key, undefined, 'no certificate in PEM'],
    ['a key file without a key', cert, 'x', undefined, 'no private key in PEM'],
    ['certificate and key swapped', key, cert, undefined, 'no certificate in PEM'],
    ['a truncated certificate', truncated(cert), key, undefined, /^not a certificate and its key in PEM \(/],
    ['a corrupt certificate', corrupt(cert), key, undefined, /^not a certificate and its key in PEM \(/],
    [
      'a truncated chain',
      cert + truncated(ca.cert),
      key,
      undefined,
      /^not a certificate and its key in PEM \(/,
    ],
    ['a truncated key', cert, truncated(key), undefined, /^not a certificate and its key in PEM \(/],
    ['an empty client CA', cert, key, '', noCa],
    ['a client CA file without a certificate', cert, key, 'x', noCa],
    ['a key as client CA', cert, key, key, noCa],
    ['a truncated client CA', cert, key, truncated(ca.cert), noCa],
    ['a corrupt client CA', cert, key, corrupt(ca.cert), badCa],
    ['several client CAs with the last one truncated', cert, key, ca.cert + truncated(other.cert), badCa],
  ])('%s', (_what, chain, privateKey, clientCa, message) => {
    const parse = (): unknown => parseTls(chain, privateKey, clientCa);
    expect(parse).toThrow(TlsError);
    expect(parse).toThrow(typeof message === 'string' ? expect.objectContaining({ message }) : message);
  });

  it('without quoting the key', () => {
    const [, line = ''] = key.split('\n');
    for (const parse of [
      () => parseTls(cert, truncated(key), undefined),
      () => parseTls(key, key, undefined),
    ]) {
      expect(parse).toThrow(
        expect.objectContaining({ message: expect.not.stringContaining(line.slice(0, 16)) }),
      );
    }
  });
});
