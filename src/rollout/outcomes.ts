/** Groups the outcomes of checks as the owner of an API thinks of them: which clients enforcing would lock out. */
import { REASON_NAMES, REASONS, type Reason } from '../authz/reason.ts';

interface GroupRow {
  readonly name: string;
  readonly meaning: string;
}

/** In the order in which they are shown. */
export const GROUPS = {
  no_sdk: {
    name: 'No SDK',
    meaning: 'no token and no sign of the SDK: a browser, a script, or an app without the SDK',
  },
  sdk_without_token: {
    name: 'SDK without a token',
    meaning: 'the SDK is there but had no token; its status word says why',
  },
  forged: {
    name: 'Failed attestation or forged',
    meaning: 'no key signed the token; a failed attestation and a forgery look the same',
  },
  expired: {
    name: 'Expired or not yet valid',
    meaning: 'a token outside its lifetime: kept too long by a client, or a clock is wrong',
  },
  binding: { name: 'Binding', meaning: 'the bound headers are missing, or are not those of the token' },
  signature: { name: 'Message signature', meaning: 'the request is not signed as the policy requires' },
  key: { name: 'Unknown key', meaning: 'no configured key has the token’s key id or algorithm' },
  claims: { name: 'Other claims', meaning: 'a claim is missing, or is not what the policy requires' },
  malformed: { name: 'Malformed', meaning: 'the header has no token in the right form, or has several' },
  unknown_policy: { name: 'Unknown policy', meaning: 'Envoy named a policy that is not configured' },
  fault: { name: 'Service fault', meaning: 'this service could not decide; the client did nothing wrong' },
} as const satisfies Record<string, GroupRow>;

/** What of the unverified checks a check belongs to. */
export type Group = keyof typeof GROUPS;

export const GROUP_NAMES = Object.keys(GROUPS) as readonly Group[];

/** A reason, but a missing token is two outcomes: with a sign of the SDK, and without. */
export type Outcome = Reason | 'sdk_without_token';

export const OUTCOMES: readonly Outcome[] = [...REASON_NAMES, 'sdk_without_token'];

const GROUP_OF: Readonly<Record<Outcome, Group | 'verified' | 'skipped'>> = {
  ok: 'verified',
  policy_off: 'skipped',
  cors_preflight: 'skipped',
  unknown_policy: 'unknown_policy',
  missing_approov_token: 'no_sdk',
  sdk_without_token: 'sdk_without_token',
  duplicate_approov_token: 'malformed',
  invalid_token_format: 'malformed',
  unsupported_token_algorithm: 'key',
  unknown_key_id: 'key',
  invalid_token_signature: 'forged',
  missing_expiry: 'claims',
  token_expired: 'expired',
  token_not_yet_valid: 'expired',
  claim_mismatch: 'claims',
  missing_pay_claim: 'binding',
  missing_binding_header: 'binding',
  binding_mismatch: 'binding',
  missing_message_signature: 'signature',
  invalid_message_signature: 'signature',
  message_signature_expired: 'signature',
  missing_signed_components: 'signature',
  content_digest_mismatch: 'signature',
  message_replayed: 'signature',
  internal_error: 'fault',
};

export function groupOf(outcome: Outcome): Group | 'verified' | 'skipped' {
  return GROUP_OF[outcome];
}

export function isOutcome(name: string): name is Outcome {
  return Object.hasOwn(GROUP_OF, name);
}

/** The reason in metrics and logs. */
export function reasonOf(outcome: Outcome): Reason {
  return outcome === 'sdk_without_token' ? 'missing_approov_token' : outcome;
}

/** Whether `enforce` denies it. */
export function isRefused(outcome: Outcome): boolean {
  return REASONS[reasonOf(outcome)].verdict === 'unverified';
}

/** How late an expired token was: a little late suggests a clock. */
export const OVERSHOOTS = [
  { name: 'under_1m', belowSeconds: 60 },
  { name: 'under_5m', belowSeconds: 300 },
  { name: 'under_1h', belowSeconds: 3600 },
  { name: 'longer', belowSeconds: Number.POSITIVE_INFINITY },
] as const;

/** The app version of requests with an unknown one, or none. */
export const OTHER_VERSION = 'other';
