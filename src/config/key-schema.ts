/** Schema of `keys` and `decryptionKeys` in the configuration file. */
import * as z from 'zod';
import { ALGORITHM_NAMES, type Algorithm, algorithmRow } from '../approov/algorithm.ts';
import {
  CONTENT_ENCRYPTION_ALGORITHMS,
  KEY_MANAGEMENT_ALGORITHMS,
  secretLengths,
} from '../approov/decryption-algorithm.ts';
import { filePath } from './listen.ts';
import { host, name, text } from './names.ts';
import { hasCredentials } from './url.ts';

/** The fields of which a key has exactly one, each with the format of its content and where that is. */
export const KEY_SOURCES = {
  secretFile: { format: 'secret', location: 'file' },
  jwksFile: { format: 'jwks', location: 'file' },
  jwksUrl: { format: 'jwks', location: 'url' },
  pemFile: { format: 'pem', location: 'file' },
} as const;
export type KeySource = keyof typeof KEY_SOURCES;
export const KEY_SOURCE_NAMES = Object.keys(KEY_SOURCES) as readonly KeySource[];

/** `Ed25519` is the RFC 9864 name of EdDSA with an Ed25519 key. */
const algorithm = z
  .enum([...ALGORITHM_NAMES, 'Ed25519'])
  .transform((name): Algorithm => (name === 'Ed25519' ? 'EdDSA' : name));

export const KEY = z
  .strictObject({
    id: name,
    secretFile: filePath.optional(),
    jwksFile: filePath.optional(),
    jwksUrl: z
      .url({ protocol: /^https$/, error: 'must be a URL with https', abort: true })
      .refine((url) => !hasCredentials(url), 'must not hold a user name or password: it is shown')
      .optional(),
    caFile: filePath.optional(),
    pemFile: filePath.optional(),
    kid: text.optional(),
    algorithms: z.array(algorithm).min(1).optional(),
    hosts: z.array(host).min(1).optional(),
  })
  .superRefine((key, context) => {
    const given = KEY_SOURCE_NAMES.filter((field) => key[field] !== undefined);
    if (given.length !== 1) {
      context.addIssue({
        code: 'custom',
        message: `must have exactly one of ${KEY_SOURCE_NAMES.join(', ')}`,
      });
      return;
    }
    const [source = 'secretFile'] = given;
    const { format, location } = KEY_SOURCES[source];
    const isSecret = format === 'secret';
    const unfit = key.algorithms?.find((name) => (algorithmRow(name).family === 'secret') !== isSecret);
    if (unfit !== undefined) {
      const message = `${unfit} does not go with a ${source}`;
      context.addIssue({ code: 'custom', path: ['algorithms'], message });
    }
    if (format === 'pem' && key.algorithms === undefined) {
      context.addIssue({ code: 'custom', path: ['algorithms'], message: 'is required with a pemFile' });
    }
    if (location !== 'url' && key.caFile !== undefined) {
      context.addIssue({ code: 'custom', path: ['caFile'], message: 'goes with a jwksUrl only' });
    }
    if (format === 'jwks' && key.kid !== undefined) {
      const message = 'does not go with a JWK Set, whose keys declare their own';
      context.addIssue({ code: 'custom', path: ['kid'], message });
    }
  });

export const DECRYPTION_KEY = z
  .strictObject({
    id: name,
    secretFile: filePath.optional(),
    privateKeyFile: filePath.optional(),
    kid: text.optional(),
    keyManagementAlgorithms: z.array(z.enum(KEY_MANAGEMENT_ALGORITHMS)).min(1).optional(),
    contentEncryptionAlgorithms: z.array(z.enum(CONTENT_ENCRYPTION_ALGORITHMS)).min(1).optional(),
    nested: z.boolean().default(true),
  })
  .superRefine((key, context) => {
    if ((key.secretFile === undefined) === (key.privateKeyFile === undefined)) {
      context.addIssue({ code: 'custom', message: 'must have exactly one of secretFile, privateKeyFile' });
    }
    if (!key.nested && key.privateKeyFile !== undefined) {
      const message = 'must be true with a privateKeyFile: anybody can encrypt to a public key';
      context.addIssue({ code: 'custom', path: ['nested'], message });
    }
    const [[oneBytes, one] = [], [otherBytes, other] = []] = secretLengths(
      key.keyManagementAlgorithms ?? [],
      key.contentEncryptionAlgorithms,
    );
    if (other !== undefined) {
      const message = `${one} takes a secret of ${oneBytes} bytes and ${other} one of ${otherBytes}: give each a key of its own`;
      context.addIssue({ code: 'custom', path: ['keyManagementAlgorithms'], message });
    }
  });

export type KeySettings = z.infer<typeof KEY>;
export type DecryptionKeySettings = z.infer<typeof DECRYPTION_KEY>;
