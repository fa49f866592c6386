/** Reads which keys the configuration names: those of the file, or the one of the environment. */
import { KeyError } from '../approov/key-error.ts';
import { Secret } from '../approov/secret.ts';
import type { DecryptionKeyConfig, KeyConfig, MessageSigningKeyConfig, Problem } from './config.ts';
import {
  type Env,
  type RawObject,
  rawList,
  readVariable,
  SECRET_FILE_VARIABLE,
  SECRET_VARIABLE,
  valueProblem,
} from './env.ts';
import {
  DECRYPTION_KEY,
  type DecryptionKeySettings,
  KEY,
  KEY_SOURCE_NAMES,
  KEY_SOURCES,
  type KeySettings,
} from './key-schema.ts';
import { MESSAGE_SIGNING_KEY } from './message-signature-schema.ts';

/** Id of the key that the environment sets. */
export const ENV_KEY_ID = 'env';

export function hasEnvKey(env: Env): boolean {
  return [SECRET_VARIABLE, SECRET_FILE_VARIABLE].some(
    (variable) => readVariable(env, variable) !== undefined,
  );
}

/** Returns the valid keys, whatever else is wrong with the content; adds to `problems`. */
export function readKeys(content: RawObject, env: Env, problems: Problem[]): readonly KeyConfig[] {
  const secret = readVariable(env, SECRET_VARIABLE);
  const secretFile = readVariable(env, SECRET_FILE_VARIABLE);
  const variable = secret === undefined ? SECRET_FILE_VARIABLE : SECRET_VARIABLE;
  const inFile = Object.hasOwn(content, 'keys');

  if (secret !== undefined && secretFile !== undefined) {
    problems.push({ path: SECRET_VARIABLE, message: `set together with ${SECRET_FILE_VARIABLE}: give one` });
    if (inFile) problems.push({ path: 'keys', message: `set together with ${variable}: give one` });
    return [];
  }
  if (secret === undefined && secretFile === undefined) {
    if (!inFile) {
      const message =
        `no key: set ${SECRET_VARIABLE} or ${SECRET_FILE_VARIABLE}, or keys in the file; ` +
        'the Approov CLI prints the secret: approov secret -get base64';
      problems.push({ path: 'keys', message });
    }
    return rawList(content, 'keys').flatMap((raw, index) => {
      const key = KEY.safeParse(raw);
      return key.success ? [fileKey(key.data, `keys[${index}]`)] : [];
    });
  }
  if (inFile) problems.push({ path: 'keys', message: `set together with ${variable}: give one` });
  const key = {
    id: ENV_KEY_ID,
    format: 'secret',
    kid: undefined,
    algorithms: undefined,
    hosts: undefined,
    path: variable,
  } as const;
  if (secretFile !== undefined) {
    const problem = valueProblem(secretFile);
    if (problem === undefined) return [{ ...key, location: { file: secretFile } }];
    problems.push({ path: variable, message: problem });
    return [];
  }
  try {
    return [{ ...key, location: { secret: Secret.parse(secret ?? '') } }];
  } catch (error) {
    if (!(error instanceof KeyError)) throw error;
    problems.push({ path: variable, message: error.message });
    return [];
  }
}

export function readDecryptionKeys(content: RawObject): readonly DecryptionKeyConfig[] {
  return rawList(content, 'decryptionKeys').flatMap((raw, index) => {
    const key = DECRYPTION_KEY.safeParse(raw);
    return key.success ? decryptionKey(key.data, `decryptionKeys[${index}]`) : [];
  });
}

export function readMessageSigningKeys(content: RawObject): readonly MessageSigningKeyConfig[] {
  return rawList(content, 'messageSigningKeys').flatMap((raw, index) => {
    const { data: key } = MESSAGE_SIGNING_KEY.safeParse(raw);
    const path = `messageSigningKeys[${index}].secretFile`;
    return key === undefined ? [] : [{ id: key.id, mskid: key.mskid, file: key.secretFile, path }];
  });
}

function fileKey(settings: KeySettings, path: string): KeyConfig {
  const { id, kid, algorithms, hosts, caFile } = settings;
  const field = KEY_SOURCE_NAMES.find((name) => settings[name] !== undefined) ?? 'secretFile';
  const { format, location } = KEY_SOURCES[field];
  const value = settings[field] ?? '';
  return {
    id,
    kid,
    algorithms,
    hosts,
    format,
    location: location === 'url' ? { url: value, caFile } : { file: value },
    path: `${path}.${field}`,
  };
}

function decryptionKey(settings: DecryptionKeySettings, path: string): readonly DecryptionKeyConfig[] {
  const {
    id,
    kid,
    keyManagementAlgorithms,
    contentEncryptionAlgorithms,
    nested,
    secretFile,
    privateKeyFile,
  } = settings;
  const key = { id, kid, keyManagementAlgorithms, contentEncryptionAlgorithms, isNested: nested };
  if (secretFile !== undefined)
    return [{ ...key, format: 'secret', file: secretFile, path: `${path}.secretFile` }];
  if (privateKeyFile === undefined) return [];
  return [{ ...key, format: 'private', file: privateKeyFile, path: `${path}.privateKeyFile` }];
}
