/** Owns the certificate, key and client CA of the listener, checked before they are used. */
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
  try {
    createSecureContext({ cert, key, ...(clientCa === undefined ? {} : { ca: clientCa }) });
  } catch (error) {
    throw new TlsError(
      `not a certificate and its key in PEM (${(error as NodeJS.ErrnoException).code ?? 'unreadable'})`,
    );
  }
  if (clientCa !== undefined && !clientCa.includes('BEGIN CERTIFICATE')) {
    throw new TlsError('the client CA holds no certificate in PEM');
  }
  return { cert, key, clientCa };
}
