/** Parses the public keys of a keyset from PEM and JWK Sets, and verifies signatures with them. */
import { constants, createHash, createPublicKey, type KeyObject, verify } from 'node:crypto';
import { ALGORITHM_NAMES, type Algorithm, algorithmRow, parseAlgorithm } from './algorithm.ts';
import { findJsonFault } from './json-syntax.ts';
import { KeyError } from './key-error.ts';

/** RFC 7518 §3.3. */
const MIN_RSA_BITS = 2048;

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
 * @throws {KeyError} not a public key, a weak one, or one that does not fit every algorithm.
 */
export function parsePem(text: string, algorithms: readonly Algorithm[]): PublicKey {
  if (text.includes('PRIVATE KEY')) {
    throw new KeyError('contains a private key: give the public one, and keep the private one elsewhere');
  }
  const key = createOrUndefined(() => createPublicKey(text));
  if (key === undefined) throw new KeyError('no public key in PEM');
  const weakness = weaknessOf(key);
  if (weakness !== undefined) throw new KeyError(weakness);
  const unfit = algorithms.find((algorithm) => !isFit(key, algorithm));
  if (unfit !== undefined) throw new KeyError(`${unfit} does not work with a key of type ${describe(key)}`);
  return createKey(key, undefined, algorithms);
}

/** The public keys of a JWK Set, and why its other members are not used. */
interface JwkSet {
  readonly keys: readonly PublicKey[];
  /** One line for each member that was skipped; reveals nothing of a key. */
  readonly warnings: readonly string[];
}

interface JwkSetOptions {
  /** `undefined`: the `alg` of each JWK, else the usual algorithm of its type. */
  readonly allowed: readonly Algorithm[] | undefined;
  /** Whether a symmetric, private or weak member is an error rather than skipped. */
  readonly isStrict: boolean;
}

/**
 * Parses a JWK Set. A member that cannot be used is skipped, as RFC 7517 §5 asks, so that a key of an unknown type does
 * not disable the others.
 * @throws {KeyError} not a JWK Set, no usable key in it, or, if strict, a forbidden member.
 */
export function parseJwks(text: string, { allowed, isStrict }: JwkSetOptions): JwkSet {
  const keys: PublicKey[] = [];
  const warnings: string[] = [];
  for (const [index, jwk] of readJwkList(text).entries()) {
    const result = parseJwk(jwk, allowed);
    if ('key' in result) {
      keys.push(result.key);
      continue;
    }
    const message = `${nameMember(jwk, index)} ${result.problem}`;
    if (isStrict && result.isForbidden) throw new KeyError(message);
    warnings.push(`${message}; it is skipped`);
  }
  if (keys.length === 0) throw new KeyError(describeUnusable(warnings));
  return { keys, warnings };
}

const MAX_NAMED_MEMBERS = 3;

function describeUnusable(warnings: readonly string[]): string {
  const reasons = warnings
    .slice(0, MAX_NAMED_MEMBERS)
    .map((warning) => warning.replace(/; it is skipped$/, ''));
  const more = warnings.length > MAX_NAMED_MEMBERS ? [`${warnings.length - MAX_NAMED_MEMBERS} more`] : [];
  return ['contains no key that may verify a token', [...reasons, ...more].join('; ')]
    .filter((part) => part !== '')
    .join(': ');
}

type Jwk = Readonly<Record<string, unknown>>;

/** Why a member is not used. A forbidden one should never have been published. */
interface Unusable {
  readonly problem: string;
  readonly isForbidden?: boolean;
}

function readJwkList(text: string): readonly unknown[] {
  let set: unknown;
  try {
    set = JSON.parse(text);
  } catch {
    const fault = findJsonFault(text);
    throw new KeyError(`is not JSON${fault === undefined ? '' : `: ${fault.message}`}`, fault);
  }
  const list: unknown = (set as { keys?: unknown } | null)?.keys;
  if (!Array.isArray(list)) throw new KeyError('is not a JWK Set, such as {"keys": […]}');
  return list;
}

const MAX_KID_LENGTH = 64;

/** By index and `kid`, which is not secret. */
function nameMember(jwk: unknown, index: number): string {
  const kid = (jwk as Jwk | null)?.['kid'];
  return typeof kid === 'string'
    ? `keys[${index}] (kid ${JSON.stringify(kid.slice(0, MAX_KID_LENGTH))})`
    : `keys[${index}]`;
}

/** RFC 7518 §6.2.2 and §6.3.2, RFC 8037 §2, and `priv` of the key type AKP. */
const PRIVATE_MEMBERS = ['d', 'p', 'q', 'dp', 'dq', 'qi', 'oth', 'priv'] as const;

function parseJwk(
  jwk: unknown,
  allowed: readonly Algorithm[] | undefined,
): { readonly key: PublicKey } | Unusable {
  if (typeof jwk !== 'object' || jwk === null) return { problem: 'is not an object' };
  const described = jwk as Jwk;
  const unfit = forbiddenMember(described) ?? unsupportedType(described);
  if (unfit !== undefined) return unfit;
  const key = createOrUndefined(() => createPublicKey({ key: { ...described }, format: 'jwk' }));
  if (key === undefined) return { problem: 'is not a valid JWK' };
  const weakness = weaknessOf(key);
  if (weakness !== undefined) return { problem: `is ${weakness}`, isForbidden: true };
  const otherUse = unfitUse(described);
  if (otherUse !== undefined) return otherUse;

  const algorithms = algorithmsOf(described, key, allowed);
  if (!Array.isArray(algorithms)) return algorithms;
  const kid = typeof described['kid'] === 'string' ? described['kid'] : undefined;
  return { key: createKey(key, kid, algorithms) };
}

function forbiddenMember(jwk: Jwk): Unusable | undefined {
  if (jwk['kty'] === 'oct' || Object.hasOwn(jwk, 'k')) {
    return { problem: 'is symmetric: secrets belong in a secretFile', isForbidden: true };
  }
  if (PRIVATE_MEMBERS.some((member) => Object.hasOwn(jwk, member))) {
    return { problem: 'is private: a JWK Set contains only public keys', isForbidden: true };
  }
  return undefined;
}

function unsupportedType({ kty, crv }: Jwk): Unusable | undefined {
  const curves = typeof kty === 'string' && Object.hasOwn(CURVES, kty) ? CURVES[kty] : undefined;
  if (curves === undefined) return { problem: `has an unsupported kty${quoted(kty)}` };
  return curves.includes(crv) ? undefined : { problem: `has an unsupported crv${quoted(crv)}` };
}

/** RFC 7517 §4.2 and §4.3. */
function unfitUse({ use, key_ops: operations }: Jwk): Unusable | undefined {
  if (use !== undefined && use !== 'sig') return { problem: `is not for signatures: use${quoted(use)}` };
  const mayVerify = operations === undefined || (Array.isArray(operations) && operations.includes('verify'));
  return mayVerify ? undefined : { problem: 'is not for verifying: key_ops without "verify"' };
}

/** The curves of each key type (RFC 7518 §6.2.1.1, RFC 8037 §2); RSA has none. */
const CURVES: Readonly<Record<string, readonly unknown[]>> = {
  RSA: [undefined],
  EC: ['P-256', 'P-384', 'P-521'],
  OKP: ['Ed25519'],
};

/** The algorithms that a JWK verifies, or why there are none. */
function algorithmsOf(
  jwk: Jwk,
  key: KeyObject,
  allowed: readonly Algorithm[] | undefined,
): Algorithm[] | Unusable {
  const fit = ALGORITHM_NAMES.filter((algorithm) => isFit(key, algorithm));
  const hasOwn = Object.hasOwn(jwk, 'alg');
  const own = parseAlgorithm(jwk['alg']);
  if (hasOwn && (own === undefined || !fit.includes(own))) {
    return { problem: `has an unsupported alg${quoted(jwk['alg'])} for a key of type ${describe(key)}` };
  }
  const candidates = own === undefined ? (allowed ?? fit.slice(0, 1)) : [own];
  const algorithms = candidates.filter(
    (algorithm) => fit.includes(algorithm) && (allowed === undefined || allowed.includes(algorithm)),
  );
  return algorithms.length > 0 ? algorithms : { problem: 'fits none of the configured algorithms' };
}

/** Registered names are short; anything else may be key material in the wrong member. */
function quoted(value: unknown): string {
  return typeof value === 'string' && /^[A-Za-z0-9.+-]{1,20}$/.test(value) ? ` ${value}` : '';
}

function createOrUndefined(create: () => KeyObject): KeyObject | undefined {
  try {
    return create();
  } catch {
    return undefined;
  }
}

function weaknessOf(key: KeyObject): string | undefined {
  const bits = key.asymmetricKeyDetails?.modulusLength;
  return bits !== undefined && bits < MIN_RSA_BITS
    ? `an RSA key of ${bits} bits; at least ${MIN_RSA_BITS} are needed`
    : undefined;
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
