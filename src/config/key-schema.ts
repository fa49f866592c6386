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
    id: name.describe('Name of the key in metrics and logs: 1 to 32 of `a-z`, `0-9` and `-`.'),
    secretFile: filePath
      .optional()
      .describe(
        'File with a secret in base64 or base64url, as the Approov CLI prints it: at least 32 bytes for HS256, 48 for HS384, 64 for HS512.',
      ),
    jwksFile: filePath.optional().describe('File with the public keys of a keyset, as a JWK Set.'),
    jwksUrl: z
      .url({ protocol: /^https$/, error: 'must be a URL with https', abort: true })
      .refine((url) => !hasCredentials(url), 'must not contain a user name or password: it is shown')
      .optional()
      .meta({
        description:
          'URL of a JWK Set, with https. It is fetched in the background; its query is never shown.',
        pattern: '^https://',
        examples: ['https://keys.example.com/jwks.json'],
      }),
    caFile: filePath
      .optional()
      .describe(
        'With `jwksUrl`: CA certificates in PEM, the only ones trusted for it. By default, those of Node and of `NODE_EXTRA_CA_CERTS`.',
      ),
    pemFile: filePath.optional().describe('File with one public key in PEM; needs `algorithms`.'),
    kid: text.optional().meta({
      description:
        'Tokens with this `kid` use this key. A key without one is for tokens that have no `kid`, or one that no key declares; a token without a `kid` may use every key. Quote it if it looks like a number. Not for a JWK Set.',
      examples: ['j3AWy6'],
    }),
    algorithms: z
      .array(algorithm)
      .min(1)
      .optional()
      .meta({
        description:
          'Algorithms that the key may verify. By default HS256 for a secret, and for a JWK its own `alg` or the usual one of its type. `Ed25519` is another name of `EdDSA`.',
        examples: [['HS256']],
      }),
    hosts: z
      .array(host)
      .min(1)
      .optional()
      .meta({
        description: 'The key is used only for requests to these hosts, exact or `*.example.com`.',
        examples: [['api.example.com']],
      }),
  })
  .meta({ oneOf: KEY_SOURCE_NAMES.map((source) => ({ required: [source] })) })
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
    id: name.describe('Name of the key in metrics and logs, different from every id in `keys`.'),
    secretFile: filePath.optional().describe('File with a secret in base64 or base64url.'),
    privateKeyFile: filePath
      .optional()
      .describe('File with an unencrypted private key in PEM: RSA, P-256, P-384, P-521 or X25519.'),
    kid: text
      .optional()
      .describe('Tokens with this `kid` use this key; a key without one is for all other tokens.'),
    keyManagementAlgorithms: z
      .array(z.enum(KEY_MANAGEMENT_ALGORITHMS))
      .min(1)
      .optional()
      .describe(
        'Values of `alg` that the key may be used with. By default, all that fit the key, without those with `PBES2`.',
      ),
    contentEncryptionAlgorithms: z
      .array(z.enum(CONTENT_ENCRYPTION_ALGORITHMS))
      .min(1)
      .optional()
      .describe('Values of `enc` that the key may be used with. By default, all that fit the key.'),
    nested: z
      .boolean()
      .default(true)
      .describe(
        'Whether a signed token is inside, which a key of `keys` has to verify. With `false`, the claims are inside, unsigned; only with a `secretFile`.',
      ),
  })
  .meta({ oneOf: ['secretFile', 'privateKeyFile'].map((source) => ({ required: [source] })) })
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
