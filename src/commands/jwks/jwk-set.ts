/** Describes the symmetric keys of a configuration as members of a JWK Set (RFC 7517, RFC 7518 §6.4). */
import type { Algorithm } from '../../approov/algorithm.ts';
import type { VerificationKey } from '../../approov/keyset.ts';
import type { Problem } from '../../config/config.ts';
import type { LoadedConfig, LoadedKey } from '../../sources/loaded-config.ts';

interface JwkMember {
  readonly kty: 'oct';
  readonly use: 'sig';
  readonly alg: Algorithm;
  readonly kid?: string;
  readonly k: string;
}

interface JwkSet {
  readonly members: readonly JwkMember[];
  /** Each key once, however many members it has. */
  readonly written: readonly VerificationKey[];
  /** Which keys are left out and why. For the operator; quotes no key. */
  readonly warnings: readonly Problem[];
}

export function jwkSetOf({ keys }: LoadedConfig): JwkSet {
  const warnings = keys.flatMap((key) => {
    const message = leftOutBecause(key);
    return message === undefined ? [] : [{ path: key.config.path, message: `${key.config.id} ${message}` }];
  });
  const written = keys.filter((key) => leftOutBecause(key) === undefined).flatMap((key) => key.keys ?? []);
  return { members: written.flatMap(membersOf), written, warnings };
}

/** The service verifies the tokens of such a key, as it is asked about each that Envoy does not verify. */
function leftOutBecause({ config, keys }: LoadedKey): string | undefined {
  if (keys?.some(({ secret }) => secret !== undefined) !== true)
    return 'is left out, as it has public keys: give Envoy its JWK Set in a provider of its own, or leave its tokens to the service';
  return config.hosts === undefined
    ? undefined
    : 'is left out, as Envoy would use it for every host, not only for its `hosts`';
}

/** A JWK has one `alg`, and Envoy tries a key without it with every algorithm of its type. */
function membersOf({ kid, algorithms, secret }: VerificationKey): readonly JwkMember[] {
  const { k } = secret?.toKeyObject().export({ format: 'jwk' }) ?? {};
  if (k === undefined) return [];
  return algorithms.map((alg) => ({ kty: 'oct', use: 'sig', alg, ...(kid !== undefined && { kid }), k }));
}
