/** Owns check requests, policies and verified tokens for tests of the pure floors. */
import type { Algorithm } from '../../src/approov/algorithm.ts';
import {
  createSymmetricKey,
  type HostRule,
  type Keyset,
  type VerificationKey,
} from '../../src/approov/keyset.ts';
import { Secret } from '../../src/approov/secret.ts';
import { type TokenFailure, type VerifiedToken, verifyToken } from '../../src/approov/token.ts';
import type { CheckRequest } from '../../src/authz/check-request.ts';
import { createPolicyTable, type Policy, type PolicyTable, type Route } from '../../src/authz/policy.ts';
import { DEFAULT_POLICY } from './default-policy.ts';
import { mintToken, SECRET } from './token.ts';

interface KeyFields {
  readonly id?: string;
  readonly kid?: string | undefined;
  readonly algorithms?: readonly Algorithm[];
  /** As Approov's tool prints it. */
  readonly secret?: string;
  readonly isForHost?: HostRule;
}

/** A key of {@link SECRET} for HS256, `current`, without a `kid`, but for `fields`. */
export function symmetricKey({
  id = 'current',
  kid,
  algorithms = ['HS256'],
  secret = SECRET,
  isForHost,
}: KeyFields = {}): VerificationKey {
  return createSymmetricKey({ id, isForHost }, kid, algorithms, Secret.parse(secret));
}

export function keysetOf(...keys: readonly VerificationKey[]): Keyset {
  return { keys, missing: [] };
}

export const KEYSET = keysetOf(symmetricKey());

/** Verifies for a request for api.example.com. */
export function verify(token: string, keyset: Keyset = KEYSET): VerifiedToken | TokenFailure {
  return verifyToken(token, keyset, 'api.example.com');
}

/** The clock of tests that need none of their own: 2026-11-24. */
export const NOW = 1_795_500_000;

export type RequestFields = Partial<Omit<CheckRequest, 'headers'>> & {
  /** A list stands for a repeated header; a text for its UTF-8 bytes. */
  readonly headers?: Readonly<Record<string, string | Buffer | readonly (string | Buffer)[]>>;
};

export function checkRequest({ headers = {}, ...fields }: RequestFields = {}): CheckRequest {
  return {
    method: 'GET',
    path: '/',
    host: 'api.example.com',
    resultHeaderAliases: new Set(),
    policyName: undefined,
    sourceAddress: '192.0.2.1',
    ...fields,
    headers: new Map(
      Object.entries(headers).map(([name, values]) => [
        name,
        [values].flat().map((value) => (Buffer.isBuffer(value) ? value : Buffer.from(value as string))),
      ]),
    ),
  };
}

/** A policy with the contract's defaults but for `fields`. */
export function policy(fields: Partial<Policy> = {}): Policy {
  return {
    name: 'default',
    ...DEFAULT_POLICY,
    ...fields,
  };
}

export function policyTable(
  defaultPolicy: Policy,
  routes: readonly Route[] = [],
  others: readonly Policy[] = [],
): PolicyTable {
  const all = [defaultPolicy, ...routes.map((route) => route.policy), ...others];
  return createPolicyTable(new Map(all.map((each) => [each.name, each])), defaultPolicy, routes);
}

export function route(to: Policy, fields: Partial<Route> = {}): Route {
  return { host: undefined, pathPrefix: undefined, methods: undefined, policy: to, ...fields };
}

/** A token that went through the real verification; its claims may be anything. */
export function verifiedToken(claims: Readonly<Record<string, unknown>>): VerifiedToken {
  const result = verify(mintToken(claims));
  if (typeof result === 'string') throw new Error(`not verified: ${result}`);
  return result;
}
