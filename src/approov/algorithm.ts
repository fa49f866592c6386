/** Owns the table of JWS algorithms (RFC 7518 §3.1) that a key may be allowed to verify. */

interface AlgorithmRow {
  readonly family: 'secret';
  readonly hash: 'sha256' | 'sha384' | 'sha512';
}

export const ALGORITHMS = {
  HS256: { family: 'secret', hash: 'sha256' },
  HS384: { family: 'secret', hash: 'sha384' },
  HS512: { family: 'secret', hash: 'sha512' },
} as const satisfies Record<string, AlgorithmRow>;

export type Algorithm = keyof typeof ALGORITHMS;

export function isAlgorithm(value: unknown): value is Algorithm {
  return typeof value === 'string' && Object.hasOwn(ALGORITHMS, value);
}
