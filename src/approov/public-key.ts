/** Owns public keys of a keyset: read from PEM or JWK, held to what is safe, and used to verify signatures. */
import { constants, createHash, createPublicKey, type KeyObject, verify } from 'node:crypto';
import { ALGORITHM_NAMES, type Algorithm, algorithmRow, isAlgorithm } from './algorithm.ts';

/** RFC 7518 §3.3. */
const MIN_RSA_BITS = 2048;

/** What is wrong with a public key, in words that name it and quote nothing of it. */
export class PublicKeyError extends Error {
  override readonly name = 'PublicKeyError';
}

export interface PublicKey {
  /** The `kid` of a JWK. */
  readonly kid: string | undefined;
  readonly algorithms: readonly Algorithm[];
  /** First 12 hex digits of the RFC 7638 thumbprint (SHA-256). */
  readonly fingerprint: string;
  verify(algorithm: Algorithm, signingInput: string, signature: Buffer): boolean;
}

/**
 * Reads one public key in PEM (SubjectPublicKeyInfo or a certificate).
 * @throws {PublicKeyError} no public key, too weak a one, or one that none of `algorithms` works with.
 */
export function parsePem(text: string, algorithms: readonly Algorithm[]): PublicKey {
  if (text.includes('PRIVATE KEY')) {
    throw new PublicKeyError('holds a private key: give the public one, and keep the private one elsewhere');
  }
  const key = importKey('no public key in PEM', () => createPublicKey(text));
  const unfit = algorithms.find((algorithm) => !isFit(key, algorithm));
  if (unfit !== undefined)
    throw new PublicKeyError(`${unfit} does not work with a key of type ${describe(key)}`);
  return createKey(key, undefined, algorithms);
}

/**
 * Reads a JWK Set (RFC 7517 §5). Keys for encryption and of unknown types are passed over.
 * @param allowed `undefined`: what each JWK says of itself, else the usual algorithm of its type.
 * @throws {PublicKeyError} no JWK Set, a symmetric, private or weak key in it, or no key that may be used.
 */
export function parseJwks(text: string, allowed: readonly Algorithm[] | undefined): readonly PublicKey[] {
  const keys = readJwkList(text)
    .map((jwk, index) => parseJwk(jwk, `keys[${index}]`, allowed))
    .filter((key) => key !== undefined);
  if (keys.length === 0) throw new PublicKeyError('holds no key that may verify a token');
  return keys;
}

const KEY_TYPES: readonly unknown[] = ['RSA', 'EC', 'OKP'];

type Jwk = Readonly<Record<string, unknown>>;

function readJwkList(text: string): readonly Jwk[] {
  let set: unknown;
  try {
    set = JSON.parse(text);
  } catch {
    throw new PublicKeyError('is not JSON');
  }
  const list: unknown = (set as { keys?: unknown } | null)?.keys;
  const isJwkList = Array.isArray(list) && list.every((jwk) => typeof jwk === 'object' && jwk !== null);
  if (!isJwkList) throw new PublicKeyError('is no JWK Set: an object with a list of keys');
  return list;
}

function parseJwk(jwk: Jwk, place: string, allowed: readonly Algorithm[] | undefined): PublicKey | undefined {
  if (jwk['kty'] === 'oct') throw new PublicKeyError(`${place} is symmetric: secrets belong in a secretFile`);
  if (Object.hasOwn(jwk, 'd')) throw new PublicKeyError(`${place} is private: a JWK Set holds public keys`);
  if (!KEY_TYPES.includes(jwk['kty']) || jwk['use'] === 'enc') return undefined;

  const key = importKey(`${place} is no valid JWK`, () =>
    createPublicKey({ key: { ...jwk }, format: 'jwk' }),
  );
  const fit = ALGORITHM_NAMES.filter((algorithm) => isFit(key, algorithm));
  const own = Object.hasOwn(jwk, 'alg') ? [jwk['alg']].filter(isAlgorithm) : (allowed ?? fit.slice(0, 1));
  const algorithms = own.filter(
    (algorithm) => fit.includes(algorithm) && (allowed === undefined || allowed.includes(algorithm)),
  );
  const kid = typeof jwk['kid'] === 'string' ? jwk['kid'] : undefined;
  return algorithms.length === 0 ? undefined : createKey(key, kid, algorithms);
}

function importKey(message: string, create: () => KeyObject): KeyObject {
  let key: KeyObject;
  try {
    key = create();
  } catch {
    throw new PublicKeyError(message);
  }
  const bits = key.asymmetricKeyDetails?.modulusLength;
  if (bits !== undefined && bits < MIN_RSA_BITS) {
    throw new PublicKeyError(`an RSA key of ${bits} bits; at least ${MIN_RSA_BITS} are needed`);
  }
  return key;
}

function isFit(key: KeyObject, algorithm: Algorithm): boolean {
  const { family, curve } = algorithmRow(algorithm);
  return family === key.asymmetricKeyType && curve === key.asymmetricKeyDetails?.namedCurve;
}

function describe(key: KeyObject): string {
  const curve = key.asymmetricKeyDetails?.namedCurve;
  return curve === undefined ? String(key.asymmetricKeyType) : `${key.asymmetricKeyType} (${curve})`;
}

function createKey(key: KeyObject, kid: string | undefined, algorithms: readonly Algorithm[]): PublicKey {
  return {
    kid,
    algorithms,
    fingerprint: thumbprint(key),
    verify(algorithm, signingInput, signature) {
      if (!algorithms.includes(algorithm)) return false;
      const { hash, isPss } = algorithmRow(algorithm);
      const options = {
        key,
        // JWS carries r || s (RFC 7518 §3.4), not the DER that node:crypto expects.
        dsaEncoding: 'ieee-p1363',
        ...(isPss
          ? { padding: constants.RSA_PKCS1_PSS_PADDING, saltLength: constants.RSA_PSS_SALTLEN_DIGEST }
          : {}),
      } as const;
      return verify(hash, Buffer.from(signingInput, 'latin1'), options, signature);
    },
  };
}

/** The first 12 hex digits of RFC 7638 §3.2: the required members of the JWK, in lexicographic order. */
export function thumbprint(key: KeyObject): string {
  const { crv, e, kty, n, x, y } = key.export({ format: 'jwk' });
  return createHash('sha256').update(JSON.stringify({ crv, e, kty, n, x, y })).digest('hex').slice(0, 12);
}
