/** Owns what Envoy is told: the pieces of a CheckResponse, from a decision and the configured refusal. */
import type { Decision } from '../authz/decide.ts';
import {
  ACTION_HEADER,
  claimHeader,
  REASON_HEADER,
  RESULT_HEADERS,
  VERDICT_HEADER,
} from '../authz/result-header.ts';
import { UNKNOWN } from '../authz/verdict.ts';
import { bytesField, stringField, varintField } from './wire.ts';

/** What a refused client is told. */
export interface DeniedResponse {
  readonly status: number;
  readonly body: string;
  readonly contentType: string;
  /** Whether `x-approov-reason` goes to the client. */
  readonly exposeReason: boolean;
}

/** The fields `status` and `http_response`. */
export function encodeResponse(
  decision: Decision,
  denied: DeniedResponse,
  claims: ReadonlyMap<string, string>,
): Buffer {
  if (decision.action !== 'deny') {
    return Buffer.concat([STATUS_OK, bytesField(3, ...letThrough(decision, claims))]);
  }
  return decision.reason === 'internal_error'
    ? Buffer.concat([STATUS_UNAVAILABLE, bytesField(2, ...refusal(decision, denied, 503))])
    : Buffer.concat([STATUS_UNAUTHENTICATED, bytesField(2, ...refusal(decision, denied, denied.status))]);
}
// Envoy lets a request in where this code is 0 or missing, whatever else the answer holds.
const STATUS_OK = bytesField(1, varintField(1, 0));
const STATUS_UNAUTHENTICATED = bytesField(1, varintField(1, 16));
// A refusal by `denied_response`: `error_response` would let the request in under `failure_mode_allow`.
const STATUS_UNAVAILABLE = bytesField(1, varintField(1, 14));
/** Fields of an OkHttpResponse: each of our headers is either set or removed, so that no client can forge one. */
function letThrough(decision: Decision, claims: ReadonlyMap<string, string>): Buffer[] {
  const { verdict, action, reason, policy } = decision;
  const headers = new Map<string, string>([[VERDICT_HEADER, verdict], [ACTION_HEADER, action], ...claims]);
  if (reason !== 'ok') headers.set(REASON_HEADER, reason);
  const removed = RESULT_HEADERS.filter((name) => !headers.has(name));
  if (policy?.forwardToken === false) removed.push(policy.tokenHeader);
  return [
    ...Array.from(headers, ([name, value]) => overwritingHeader(name, value)),
    ...removed.map((name) => stringField(5, name)),
  ];
}

/** The claims that the policy forwards and this token has, by the name of their header. */
export function forwardedClaims({ verdict, policy, verifiedToken }: Decision): ReadonlyMap<string, string> {
  const forwarded = new Map<string, string>();
  if (verdict !== 'verified') return forwarded;
  for (const claim of policy?.forwardClaims ?? []) {
    const value = verifiedToken?.claims[claim];
    if (typeof value === 'string' && FORWARDABLE_VALUE.test(value)) forwarded.set(claimHeader(claim), value);
  }
  return forwarded;
}

/** 1 to 1024 visible ASCII characters (VCHAR of RFC 5234): what every proxy takes as a field value. */
const FORWARDABLE_VALUE = /^[\x21-\x7e]{1,1024}$/;

/** Fields of a DeniedHttpResponse. */
function refusal(decision: Decision, denied: DeniedResponse, status: number): Buffer[] {
  const headers = [
    overwritingHeader('content-type', denied.contentType),
    overwritingHeader('cache-control', 'no-store'),
  ];
  // RFC 9110 §15.5.2: a 401 names the scheme by which to authenticate.
  if (status === 401) headers.push(overwritingHeader('www-authenticate', 'Approov'));
  if (denied.exposeReason) headers.push(overwritingHeader(REASON_HEADER, decision.reason));
  return [bytesField(1, varintField(1, status)), ...headers, stringField(3, denied.body)];
}

/**
 * A HeaderValueOption that replaces. Both ways to say so are given: Envoy has read `append` in some versions
 * and `append_action` in others, and where the one it reads is unset, a forged value would stay.
 */
function overwritingHeader(name: string, value: string): Buffer {
  return bytesField(2, bytesField(1, stringField(1, name), stringField(2, value)), OVERWRITE);
}

const APPEND_FALSE = bytesField(2);
const OVERWRITE_IF_EXISTS_OR_ADD = varintField(3, 2);
const OVERWRITE = Buffer.concat([APPEND_FALSE, OVERWRITE_IF_EXISTS_OR_ADD]);

/** Entries of the Struct: flat, and strings only, since rate limit descriptors read nothing else. */
export function metadataEntries({
  verdict,
  action,
  reason,
  policy,
  mode,
  verifiedToken,
}: Decision): Buffer[] {
  return [
    metadataEntry('approov_verdict', verdict),
    metadataEntry('approov_action', action),
    metadataEntry('approov_reason', reason),
    metadataEntry('approov_policy', policy?.name ?? UNKNOWN),
    metadataEntry('approov_mode', mode),
    ...(verifiedToken === undefined ? [] : [metadataEntry('approov_key_id', verifiedToken.keyId)]),
  ];
}

export function metadataEntry(key: string, value: string): Buffer {
  return bytesField(1, stringField(1, key), bytesField(2, stringField(3, value)));
}
