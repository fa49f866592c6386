/** Validates the certificate, private key and client CA of a listener before they are used. */
import { createPrivateKey, type KeyObject, X509Certificate } from 'node:crypto';
import { createSecureContext } from 'node:tls';

export interface TlsMaterial {
  readonly cert: string;
  readonly key: string;
  /** If set, clients must present a certificate signed by it (mTLS). */
  readonly clientCa: string | undefined;
}

/** What is wrong with the PEM text. The message quotes none of it. */
export class TlsError extends Error {
  override readonly name = 'TlsError';
  /** The text with the problem. */
  readonly part: keyof TlsMaterial;

  constructor(part: keyof TlsMaterial, message: string) {
    super(message);
    this.part = part;
  }
}

/** @throws {TlsError} the certificate, key or client CA is not valid PEM, or certificate and key do not match. */
export function parseTls(cert: string, key: string, clientCa: string | undefined): TlsMaterial {
  const [leaf] = parseCertificates('cert', cert);
  if (leaf?.checkPrivateKey(parseKey(key)) !== true)
    throw new TlsError('key', 'the private key is not that of the certificate');
  try {
    createSecureContext({ cert, key });
  } catch (error) {
    const { code = 'unreadable' } = error as NodeJS.ErrnoException;
    throw new TlsError('cert', `OpenSSL does not accept the certificate with its key (${code})`);
  }
  if (clientCa !== undefined) parseCertificates('clientCa', clientCa);
  return { cert, key, clientCa };
}

/** @throws {TlsError} the text is not one or more certificates in PEM. */
export function parseCa(text: string): string {
  parseCertificates('clientCa', text);
  return text;
}

function parseKey(pem: string): KeyObject {
  if (!pem.includes('PRIVATE KEY')) throw new TlsError('key', 'no private key in PEM');
  if (/ENCRYPTED/.test(pem)) throw new TlsError('key', 'the private key is encrypted: decrypt it');
  try {
    return createPrivateKey(pem);
  } catch {
    throw new TlsError('key', 'the private key cannot be read');
  }
}

/**
 * Each is parsed, since `createSecureContext` silently skips a CA that it cannot parse, and every client would then be
 * rejected; and it accepts an empty certificate file, which a file being rewritten is for a moment.
 */
function parseCertificates(part: 'cert' | 'clientCa', pem: string): readonly X509Certificate[] {
  const begins = pem.split('-----BEGIN CERTIFICATE-----').length - 1;
  const certificates = pem.match(/-----BEGIN CERTIFICATE-----[^-]+-----END CERTIFICATE-----/g) ?? [];
  if (begins === 0) throw new TlsError(part, 'no certificate in PEM');
  if (certificates.length !== begins) throw new TlsError(part, 'a certificate is cut off');
  return certificates.map((certificate, index) => {
    try {
      return new X509Certificate(certificate);
    } catch {
      const which = begins === 1 ? 'a certificate' : `certificate ${index + 1} of ${begins}`;
      throw new TlsError(part, `${which} cannot be read`);
    }
  });
}
