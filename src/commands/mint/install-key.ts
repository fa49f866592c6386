/** Provides the private key with which the installation of an app signs its requests. */
import { createPrivateKey, generateKeyPairSync, type KeyObject } from 'node:crypto';
import { writeFile } from 'node:fs/promises';
import { KeyError } from '../../approov/key-error.ts';
import { parsePrivateKey } from '../../approov/private-key.ts';
import { looksLikeSecret } from '../../approov/secret.ts';
import { readTextFile } from '../../sources/text-file.ts';
import { UsageError } from '../command.ts';

/** @param file in PEM; created if it does not exist. `undefined`: a new key. */
export async function installKey(file: string | undefined): Promise<KeyObject> {
  const pem = generatePem();
  return file === undefined || (await create(file, pem)) ? createPrivateKey(pem) : readKey(file);
}

/** Not as a KeyObject: on Node 20, exporting one that was just generated may deadlock. */
function generatePem(): string {
  const { privateKey } = generateKeyPairSync('ec', {
    namedCurve: 'P-256',
    publicKeyEncoding: { type: 'spki', format: 'pem' },
    privateKeyEncoding: { type: 'pkcs8', format: 'pem' },
  });
  return privateKey;
}

/** Whether the file did not exist. */
async function create(file: string, pem: string): Promise<boolean> {
  try {
    await writeFile(file, pem, { flag: 'wx', mode: 0o600 });
    return true;
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    if (code === 'EEXIST') return false;
    if (code === undefined) throw error;
    throw unusable(file, `cannot be created (${code})`);
  }
}

async function readKey(file: string): Promise<KeyObject> {
  const result = await readTextFile(file);
  if (result.kind === 'unreadable') throw new UsageError(`--install-key: ${result.problem}`);
  const key = parseKey(file, result.text);
  if (key.asymmetricKeyDetails?.namedCurve === 'prime256v1') return key;
  throw unusable(file, 'not a key of the curve P-256');
}

function parseKey(file: string, text: string): KeyObject {
  try {
    return parsePrivateKey(text);
  } catch (error) {
    if (!(error instanceof KeyError)) throw error;
    throw unusable(file, error.message);
  }
}

function unusable(file: string, problem: string): UsageError {
  // A secret may have been given where the name of its file belongs.
  const name = looksLikeSecret(file) ? '' : `${file}: `;
  return new UsageError(`--install-key: ${name}${problem}`);
}
