/** Owns the certificate, key and client CA of the listener, checked before they are used. */
import { X509Certificate } from 'node:crypto';
import { createSecureContext } from 'node:tls';

export interface TlsMaterial {
  readonly cert: string;
  readonly key: string;
  /** Given: clients must show a certificate that it signed (mTLS). */
  readonly clientCa: string | undefined;
}

/** What is wrong with the files; holds nothing of them. */
export class TlsError extends Error {
  override readonly name = 'TlsError';
}

/** @throws {TlsError} no certificate or key in PEM, or two that do not belong together. */
export function parseTls(cert: string, key: string, clientCa: string | undefined): TlsMaterial {
  // An empty file, as one is while it is written anew, would be no fault to `createSecureContext`.
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

/** @throws {TlsError} no certificates in PEM. */
export function parseCa(text: string): string {
  checkCertificates(text, 'the CA');
  return text;
}

/** By itself, since `createSecureContext` passes over a CA that it cannot read: no client would be let in then. */
function checkCertificates(pem: string, name: string): void {
  const begins = pem.split('-----BEGIN CERTIFICATE-----').length - 1;
  const certificates = pem.match(/-----BEGIN CERTIFICATE-----[^-]+-----END CERTIFICATE-----/g) ?? [];
  if (certificates.length === 0) throw new TlsError(`${name} holds no certificate in PEM`);
  try {
    if (certificates.length !== begins) throw new Error('one is cut off');
    for (const certificate of certificates) new X509Certificate(certificate);
  } catch {
    throw new TlsError(`${name} holds a certificate that cannot be read`);
  }
}
