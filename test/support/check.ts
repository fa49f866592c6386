/** Builds check requests, policies, keysets and verified tokens for tests of the pure layers. */
import type { Algorithm } from '../../src/approov/algorithm.ts';
import { CompactToken } from '../../src/approov/compact-token.ts';
import {
  createSymmetricKey,
  type HostRule,
  type Keyset,
  type VerificationKey,
} from '../../src/approov/keyset.ts';
import { Secret } from '../../src/approov/secret.ts';
import {
  type TokenRejection,
  type TokenResult,
  type VerifiedToken,
  verifyToken,
} from '../../src/approov/token.ts';
import type { CheckRequest } from '../../src/authz/check-request.ts';
import { createPolicyTable, type Policy, type PolicyTable, type Route } from '../../src/authz/policy.ts';
import type { CheckVerifier, VerifyToken } from '../../src/authz/steps.ts';
import { type MessageSigningKey, TokenVerifier } from '../../src/authz/token-verifier.ts';
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

/** Verifies a token for a request to api.example.com. */
export function verify(token: string | CompactToken, keyset: Keyset = KEYSET): TokenResult {
  const compact = typeof token === 'string' ? new CompactToken(token) : token;
  return verifyToken(compact, keyset, 'api.example.com');
}

/** The verified token, or the reason for which it was rejected. */
export function tokenOrReason(token: string, keyset: Keyset = KEYSET): VerifiedToken | TokenRejection {
  const result = verify(token, keyset);
  return result.kind === 'verified' ? result.token : result.reason;
}

/** The default clock of tests: 2026-11-24. */
export const NOW = 1_795_500_000;

export type RequestFields = Partial<Omit<CheckRequest, 'headers'>> & {
  /** A list for a repeated header; a string for its UTF-8 bytes. */
  readonly headers?: Readonly<Record<string, string | Buffer | readonly (string | Buffer)[]>>;
};

export function checkRequest({ headers = {}, ...fields }: RequestFields = {}): CheckRequest {
  const values = new Map(
    Object.entries(headers).map(([name, each]) => [
      name,
      [each].flat().map((value) => (Buffer.isBuffer(value) ? value : Buffer.from(value as string))),
    ]),
  );
  return {
    method: 'GET',
    path: '/',
    host: 'api.example.com',
    resultHeaderAliases: new Set(),
    policyName: undefined,
    sourceAddress: '192.0.2.1',
    requestId: '',
    body: Buffer.alloc(0),
    allHeaders: () => values,
    ...fields,
    headers: values,
  };
}

/** Verifies tokens as given, and messages with these account keys, at a time. */
export function checkVerifier(
  verifyToken: VerifyToken = (token) => verify(token),
  messageSigningKeys: readonly MessageSigningKey[] = [],
  now = NOW,
): CheckVerifier {
  const keys = { keyset: KEYSET, decryptionKeys: [], messageSigningKeys, tokenCacheEntries: 0 };
  return { ...new TokenVerifier(keys).forCheck(now), verifyToken };
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

/** A token with any claims that passed the real verification. */
export function verifiedToken(claims: Readonly<Record<string, unknown>>): VerifiedToken {
  const result = verify(mintToken(claims));
  if (result.kind === 'rejected') throw new Error(`not verified: ${result.reason}`);
  return result.token;
}
