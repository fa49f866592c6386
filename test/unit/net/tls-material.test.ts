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
  const none = 'no certificate in PEM';
  const cutOff = 'a certificate is cut off';
  const mismatch = 'the private key is not that of the certificate';

  it.each<
    [what: string, cert: string, key: string, clientCa: string | undefined, part: string, message: string]
  >([
    [
      'an encrypted key',
      cert,
      '-----BEGIN ENCRYPTED PRIVATE KEY-----',
      undefined,
      'key',
      'the private key is encrypted: decrypt it',
    ],
    ['a key of another certificate', cert, other.key, undefined, 'key', mismatch],
    ['two empty files, as while they are being written', '', '', undefined, 'cert', none],
    ['an empty certificate', '', key, undefined, 'cert', none],
    ['an empty key', cert, '', undefined, 'key', 'no private key in PEM'],
    ['a certificate file without a certificate', 'x', key, undefined, 'cert', none],
    ['a key file without a key', cert, 'x', undefined, 'key', 'no private key in PEM'],
    ['certificate and key swapped', key, cert, undefined, 'cert', none],
    ['a truncated certificate', truncated(cert), key, undefined, 'cert', cutOff],
    ['a corrupt certificate', corrupt(cert), key, undefined, 'cert', 'a certificate cannot be read'],
    ['a truncated chain', cert + truncated(ca.cert), key, undefined, 'cert', cutOff],
    ['a truncated key', cert, truncated(key), undefined, 'key', 'the private key cannot be read'],
    ['an empty client CA', cert, key, '', 'clientCa', none],
    ['a client CA file without a certificate', cert, key, 'x', 'clientCa', none],
    ['a key as client CA', cert, key, key, 'clientCa', none],
    ['a truncated client CA', cert, key, truncated(ca.cert), 'clientCa', cutOff],
    ['a corrupt client CA', cert, key, corrupt(ca.cert), 'clientCa', 'a certificate cannot be read'],
    [
      'several client CAs with the last one truncated',
      cert,
      key,
      ca.cert + truncated(other.cert),
      'clientCa',
      cutOff,
    ],
    [
      'several client CAs with a corrupt one',
      cert,
      key,
      ca.cert + corrupt(other.cert),
      'clientCa',
      'certificate 2 of 2 cannot be read',
    ],
  ])('%s', (_what, chain, privateKey, clientCa, part, message) => {
    const parse = (): unknown => parseTls(chain, privateKey, clientCa);
    expect(parse).toThrow(TlsError);
    expect(parse).toThrow(expect.objectContaining({ part, message }));
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
