/** Generates a CA with one server and one client certificate as files, with openssl. */
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { runToolOrThrow } from './platform-tool.ts';

export interface KeyPair {
  readonly cert: string;
  readonly key: string;
}

/** @param serverName the DNS name of the server's certificate. */
export async function createCertificates(
  serverName: string,
): Promise<{ readonly ca: string; readonly server: KeyPair; readonly client: KeyPair }> {
  const folder = mkdtempSync(join(tmpdir(), 'certificates-'));
  const file = (name: string): string => join(folder, name);
  const read = (name: string): string => readFileSync(file(name), 'utf8');
  const newKey = ['-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:prime256v1', '-noenc'];
  const issue = async (name: string, extensions: string): Promise<KeyPair> => {
    const request = ['req', ...newKey, '-keyout', file(`${name}.key`), '-out', file(`${name}.csr`)];
    await runToolOrThrow('openssl', [...request, '-subj', `/CN=${name}`]);
    writeFileSync(file(`${name}.ext`), extensions);
    const signers = ['-CA', file('ca.crt'), '-CAkey', file('ca.key'), '-CAcreateserial', '-days', '1'];
    const signing = [
      '-in',
      file(`${name}.csr`),
      '-out',
      file(`${name}.crt`),
      '-extfile',
      file(`${name}.ext`),
    ];
    await runToolOrThrow('openssl', ['x509', '-req', ...signers, ...signing]);
    return { cert: read(`${name}.crt`), key: read(`${name}.key`) };
  };
  try {
    const authority = ['-x509', '-days', '1', '-keyout', file('ca.key'), '-out', file('ca.crt')];
    await runToolOrThrow('openssl', ['req', ...newKey, ...authority, '-subj', '/CN=test authority']);
    return {
      ca: read('ca.crt'),
      server: await issue('server', `subjectAltName=DNS:${serverName}\nextendedKeyUsage=serverAuth\n`),
      client: await issue('client', 'extendedKeyUsage=clientAuth\n'),
    };
  } finally {
    rmSync(folder, { recursive: true });
  }
}
