/** Makes example tokens: the claims, and the signature of a configured key. */
import { randomBytes } from 'node:crypto';
import type { VerificationKey } from '../../approov/keyset.ts';
import { Secret } from '../../approov/secret.ts';
import { payClaim } from '../../approov/token-binding.ts';
import type { LoadedConfig } from '../../sources/loaded-config.ts';
import { type Options, UsageError } from '../command.ts';
import { parseDurationSeconds } from '../duration.ts';

export const TOKEN_OPTIONS = {
  'expires-in': { type: 'string' },
  bind: { type: 'string', multiple: true },
  claim: { type: 'string', multiple: true },
  'key-id': { type: 'string' },
  invalid: { type: 'boolean' },
} as const;

export type Claims = Readonly<Record<string, unknown>>;

export function readClaims(options: Options, nowSeconds: number): Claims {
  const lifetimeSeconds = parseDurationSeconds(options.text('expires-in') ?? '5m');
  if (lifetimeSeconds === undefined)
    throw new UsageError('--expires-in: must be a duration such as 90s, 5m or 1h');
  return {
    exp: Math.floor(nowSeconds + lifetimeSeconds),
    did: 'ExampleApproovTokenDID==',
    ip: '192.0.2.7',
    ...boundClaims(options.texts('bind')),
    ...extraClaims(options.texts('claim')),
  };
}

export function mintToken(options: Options, { keys }: LoadedConfig, claims: Claims): string {
  const symmetric = keys.flatMap((loaded) => loaded.keys ?? []).filter(isSymmetric);
  return sign(chooseKey(symmetric, options), claims, options.flag('invalid'));
}

type SymmetricKey = VerificationKey & { readonly secret: Secret };

function isSymmetric(key: VerificationKey): key is SymmetricKey {
  return key.secret !== undefined;
}

function sign(key: SymmetricKey, claims: Claims, isInvalid: boolean): string {
  const [alg] = key.algorithms;
  if (alg === undefined) throw new UsageError(`--key-id: ${key.id} has no algorithm`);
  const header = { alg, typ: 'JWT', ...(key.kid === undefined ? {} : { kid: key.kid }) };
  const signingInput = [header, claims]
    .map((part) => Buffer.from(JSON.stringify(part)).toString('base64url'))
    .join('.');
  const signer = isInvalid ? Secret.parse(randomBytes(64).toString('base64')) : key.secret;
  return `${signingInput}.${signer.sign(alg, signingInput).toString('base64url')}`;
}

function chooseKey(keys: readonly SymmetricKey[], options: Options): SymmetricKey {
  if (keys.length === 0) {
    throw new UsageError(
      'no key to sign with: only a shared secret can sign, and the configured keys are public; ' +
        'to try it out: APPROOV_BASE64_SECRET="$(openssl rand -base64 64 | tr -d \'\\n\')", with the same value for serve',
    );
  }
  const id = options.text('key-id');
  const key = id === undefined ? keys[0] : keys.find((candidate) => candidate.id === id);
  if (key === undefined) {
    const known = keys.map((other) => other.id).join(', ');
    throw new UsageError(`--key-id: unknown symmetric key; known: ${known}`);
  }
  return key;
}

function boundClaims(values: readonly string[]): { pay?: string } {
  return values.length === 0 ? {} : { pay: payClaim(values) };
}

function extraClaims(assignments: readonly string[]): Record<string, unknown> {
  return Object.fromEntries(
    assignments.map((assignment) => {
      const equals = assignment.indexOf('=');
      if (equals < 1) throw new UsageError('--claim: must be NAME=VALUE');
      return [assignment.slice(0, equals), jsonOrText(assignment.slice(equals + 1))];
    }),
  );
}

function jsonOrText(text: string): unknown {
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch {
    return text;
  }
  // `1e999` parses as Infinity, which would be signed as null.
  JSON.stringify(value, (_name, each) => {
    if (each === Number.POSITIVE_INFINITY || each === Number.NEGATIVE_INFINITY) {
      throw new UsageError('--claim: number out of range');
    }
    return each;
  });
  return value;
}
