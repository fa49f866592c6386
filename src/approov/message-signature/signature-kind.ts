/** Lists the two kinds of signatures that Approov makes: label, algorithm, key and form of each. */
import type { JsonObject } from '../compact-token.ts';
import { canonicalSignature, derToRaw, RAW_SIGNATURE_BYTES } from './ecdsa-signature.ts';
import type { MessageSignatureKeys, MessageSignatureOptions } from './options.ts';

export interface SignatureKey {
  /** The same in every process, whatever the configuration; reveals nothing of a secret. */
  readonly identity: string;
  /** The id in the configuration; `undefined` for a key of an app installation. */
  readonly keyId: string | undefined;
  verify(base: string, signature: Buffer): boolean;
}

interface SignatureKind {
  readonly algorithm: string;
  /** The claim of the token that names the key. */
  readonly claim: string;
  readonly isPublicKey: boolean;
  key(claim: unknown, keys: MessageSignatureKeys): SignatureKey | undefined;
  /** The signature as its algorithm defines it; `undefined` if it has another form. */
  decode(bytes: Buffer, options: MessageSignatureOptions): Buffer | undefined;
  /** One of the signatures that are valid together. */
  canonical(signature: Buffer): Buffer;
}

const HMAC_SHA256_BYTES = 32;

export const SIGNATURE_KINDS = {
  install: {
    algorithm: 'ecdsa-p256-sha256',
    claim: 'ipk',
    isPublicKey: true,
    key: (ipk, { installKeys }) => installKeys.get(ipk),
    decode: (bytes, { acceptDerSignatures }) => {
      if (bytes.length === RAW_SIGNATURE_BYTES) return bytes;
      return acceptDerSignatures ? derToRaw(bytes) : undefined;
    },
    canonical: canonicalSignature,
  },
  account: {
    algorithm: 'hmac-sha256',
    claim: 'mskid',
    isPublicKey: false,
    key: accountKey,
    decode: (bytes) => (bytes.length === HMAC_SHA256_BYTES ? bytes : undefined),
    canonical: (signature) => signature,
  },
} as const satisfies Readonly<Record<string, SignatureKind>>;

/** The label of a signature is its kind. */
export type SignatureLabel = keyof typeof SIGNATURE_KINDS;

const SIGNATURE_LABELS = Object.keys(SIGNATURE_KINDS) as readonly SignatureLabel[];

function accountKey(mskid: unknown, keys: MessageSignatureKeys): SignatureKey | undefined {
  if (typeof mskid !== 'string') return undefined;
  const key = keys.accountKey(mskid);
  if (key === undefined) return undefined;
  // RFC 9421 §3.3.3 is the HMAC of HS256.
  const verify: SignatureKey['verify'] = (base, signature) => key.secret.verify('HS256', base, signature);
  return { identity: mskid, keyId: key.id, verify };
}

/** The signatures that a request with a token of these claims must carry. */
export function requiredSignatures(
  options: MessageSignatureOptions,
  claims: JsonObject,
): readonly SignatureLabel[] {
  return SIGNATURE_LABELS.filter((label) => {
    const setting = options[label];
    return (
      setting === 'required' || (setting !== 'off' && Object.hasOwn(claims, SIGNATURE_KINDS[label].claim))
    );
  });
}
