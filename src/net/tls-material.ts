/** Validates the certificate, private key and client CA of a listener before they are used. */
import { X509Certificate } from 'node:crypto';
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
}

/** @throws {TlsError} the certificate, key or client CA is not valid PEM, or certificate and key do not match. */
export function parseTls(cert: string, key: string, clientCa: string | undefined): TlsMaterial {
  // `createSecureContext` accepts an empty file, which a file being rewritten is for a moment.
  if (!cert.includes('BEGIN CERTIFICATE')) throw new TlsError('no certificate in PEM');
  if (!key.includes('PRIVATE KEY')) throw new TlsError('no private key in PEM');
  try {
    createSecureContext({ cert, key });
  } catch (error) {
    throw new TlsError(
      `not a certificate and its key in PEM (${(error as NodeJS.ErrnoException).code ?? 'unreadable'})`,
    );
  }
  if (clientCa !== undefined) checkCertificates(clientCa, 'the client CA');
  return { cert, key, clientCa };
}

/** @throws {TlsError} the text is not one or more certificates in PEM. */
export function parseCa(text: string): string {
  checkCertificates(text, 'the CA');
  return text;
}

/** `createSecureContext` silently skips a CA that it cannot parse, and every client would then be rejected. */
function checkCertificates(pem: string, name: string): void {
  const begins = pem.split('-----BEGIN CERTIFICATE-----').length - 1;
  const certificates = pem.match(/-----BEGIN CERTIFICATE-----[^-]+-----END CERTIFICATE-----/g) ?? [];
  if (certificates.length === 0) throw new TlsError(`${name} holds no certificate in PEM`);
  try {
    if (certificates.length !== begins) throw new Error('truncated');
    for (const certificate of certificates) new X509Certificate(certificate);
  } catch {
    throw new TlsError(`${name} holds a certificate that cannot be read`);
  }
}
