/** Generates CAs and the certificates they sign with openssl. */
import { execFileSync } from 'node:child_process';
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';

export interface Certificate {
  readonly certFile: string;
  readonly keyFile: string;
  readonly cert: string;
  readonly key: string;
}

/** A self-signed CA. */
export function createCa(folder: string, name: string): Certificate {
  const { certFile, keyFile } = filesOf(folder, name);
  openssl(
    ...[
      'req',
      '-x509',
      ...NEW_KEY,
      '-keyout',
      keyFile,
      '-out',
      certFile,
      '-days',
      '2',
      '-subj',
      `/CN=${name}`,
    ],
    ...['-addext', 'basicConstraints=critical,CA:TRUE', '-addext', 'keyUsage=critical,keyCertSign'],
  );
  return read(certFile, keyFile);
}

/** A server and client certificate signed by a CA; for localhost by default. */
export function issueCertificate(
  folder: string,
  name: string,
  ca: Certificate,
  subjects = 'DNS:localhost,IP:127.0.0.1,IP:::1',
): Certificate {
  const { certFile, keyFile } = filesOf(folder, name);
  const [request, extensions] = [join(folder, `${name}.csr`), join(folder, `${name}.ext`)];
  openssl('req', ...NEW_KEY, '-keyout', keyFile, '-out', request, '-subj', `/CN=${name}`);
  writeFileSync(extensions, `subjectAltName=${subjects}\n`);
  openssl(
    ...['x509', '-req', '-in', request, '-CA', ca.certFile, '-CAkey', ca.keyFile, '-CAcreateserial'],
    ...['-out', certFile, '-days', '2', '-extfile', extensions],
  );
  return read(certFile, keyFile);
}

const NEW_KEY = ['-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:P-256', '-nodes'] as const;

function openssl(...args: readonly string[]): void {
  execFileSync('openssl', args, { stdio: ['ignore', 'ignore', 'pipe'] });
}

function filesOf(folder: string, name: string): { certFile: string; keyFile: string } {
  return { certFile: join(folder, `${name}.crt`), keyFile: join(folder, `${name}.key`) };
}

function read(certFile: string, keyFile: string): Certificate {
  return { certFile, keyFile, cert: readFileSync(certFile, 'utf8'), key: readFileSync(keyFile, 'utf8') };
}
