/** Lists the JWS algorithms (RFC 7518 §3.1, RFC 8037) that a key may be allowed to verify. */

type KeyFamily = 'secret' | 'rsa' | 'ec' | 'ed25519';

interface AlgorithmRow {
  /** The only type of key that is ever tried with the algorithm. */
  readonly family: KeyFamily;
  /** `null`: the hash is part of the signature scheme. */
  readonly hash: 'sha256' | 'sha384' | 'sha512' | null;
  /** RSASSA-PSS rather than PKCS #1 v1.5. */
  readonly isPss?: true;
  /** The only curve of the algorithm, as node:crypto names it. */
  readonly curve?: 'prime256v1' | 'secp384r1' | 'secp521r1';
}

export const ALGORITHMS = {
  HS256: { family: 'secret', hash: 'sha256' },
  HS384: { family: 'secret', hash: 'sha384' },
  HS512: { family: 'secret', hash: 'sha512' },
  RS256: { family: 'rsa', hash: 'sha256' },
  RS384: { family: 'rsa', hash: 'sha384' },
  RS512: { family: 'rsa', hash: 'sha512' },
  PS256: { family: 'rsa', hash: 'sha256', isPss: true },
  PS384: { family: 'rsa', hash: 'sha384', isPss: true },
  PS512: { family: 'rsa', hash: 'sha512', isPss: true },
  ES256: { family: 'ec', hash: 'sha256', curve: 'prime256v1' },
  ES384: { family: 'ec', hash: 'sha384', curve: 'secp384r1' },
  ES512: { family: 'ec', hash: 'sha512', curve: 'secp521r1' },
  EdDSA: { family: 'ed25519', hash: null },
} as const satisfies Record<string, AlgorithmRow>;

export type Algorithm = keyof typeof ALGORITHMS;

export const ALGORITHM_NAMES = Object.keys(ALGORITHMS) as Algorithm[];

function isAlgorithm(value: unknown): value is Algorithm {
  return typeof value === 'string' && Object.hasOwn(ALGORITHMS, value);
}

/**
 * Parses the name of an algorithm in a token, a JWK or the configuration. `Ed25519` (RFC 9864 §2.2) is EdDSA with an
 * Ed25519 key.
 */
export function parseAlgorithm(value: unknown): Algorithm | undefined {
  if (value === 'Ed25519') return 'EdDSA';
  return isAlgorithm(value) ? value : undefined;
}

export function algorithmRow(algorithm: Algorithm): AlgorithmRow {
  return ALGORITHMS[algorithm];
}
