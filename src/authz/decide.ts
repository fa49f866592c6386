/** Owns the decision: the steps of a check in their order, and the action that follows under the policy's mode. */
import { checkLifetime, hasAudience, hasIssuer } from '../approov/claims.ts';
import { trimOws } from '../approov/field-value.ts';
import { parseSdkStatus, type SdkStatus } from '../approov/sdk-status.ts';
import { hasClaims, type TokenFailure, type VerifiedToken } from '../approov/token.ts';
import { type BindingFailure, checkBinding } from '../approov/token-binding.ts';
import { type CheckRequest, HEADERS_READ, headerValues } from './check-request.ts';
import type { Ambiguity, Policy, PolicyChoice } from './policy.ts';
import { REASONS, type Reason } from './reason.ts';
import { createTokenReader, type PresentedToken, readTokenHeader } from './token-header.ts';
import { type Action, actionFor, isStricter, type Mode, UNKNOWN, type Verdict } from './verdict.ts';

export interface Decision {
  /** `undefined` where no configured policy judged: the policy's name and mode then read `unknown`. */
  readonly policy: Policy | undefined;
  readonly mode: Mode | typeof UNKNOWN;
  readonly verdict: Verdict;
  readonly action: Action;
  readonly reason: Reason;
  /** The text that stood for a token, whatever it was: never to be printed. */
  readonly presentedToken: string | undefined;
  /** There once a key has verified the signature, even if a later step failed. */
  readonly verifiedToken: VerifiedToken | undefined;
  /** What the SDK said of itself; `other` for a word that is not known. */
  readonly sdkStatus: SdkStatus | 'other' | undefined;
  /** What of the request upstreams may read in different ways. */
  readonly ambiguous: Ambiguity | undefined;
}

/** Steps 2 to 4 for one token in a request for a host; `''` is no host. */
export type TokenVerifier = (token: string, host: string) => VerifiedToken | TokenFailure;

/**
 * Judges a request. Never throws for what a request holds.
 * @param choice the policies that judge it; ties go to the first.
 * @param nowSeconds since the epoch, fractions allowed.
 */
export function decide(
  request: CheckRequest,
  choice: PolicyChoice,
  verify: TokenVerifier,
  nowSeconds: number,
): Decision {
  const { policies, host, ambiguous } = choice;
  const sdkStatus = readStatusHeader(request);
  const isOnly = policies.length === 1;
  const asked = {
    request,
    host,
    readToken: isOnly ? (policy: Policy) => readTokenHeader(request, policy) : createTokenReader(request),
    verify,
    nowSeconds,
    bindings: isOnly ? undefined : new Map(),
  };
  let strictest: Decision | undefined;
  for (const policy of policies) {
    const decision = conclude(policy, judge(asked, policy), ambiguous, sdkStatus);
    if (strictest === undefined || isStricter(decision, strictest)) strictest = decision;
    // Nothing is stricter.
    if (decision.action === 'deny') break;
  }
  return strictest ?? conclude(undefined, { reason: 'unknown_policy' }, ambiguous, sdkStatus);
}

/** The decision for a message that cannot be read: nothing is known, so nothing is let in. */
export function decideUnreadable(): Decision {
  return conclude(undefined, { reason: 'internal_error' }, undefined, undefined);
}

interface Judgement {
  readonly reason: Reason;
  readonly presentedToken?: string;
  readonly verifiedToken?: VerifiedToken;
  readonly sdkStatus?: SdkStatus | 'other' | undefined;
}

/** One check, whatever the number of policies that judge it. */
interface Asked {
  readonly request: CheckRequest;
  /** `undefined`: absent, or no host. */
  readonly host: string | undefined;
  readonly readToken: (policy: Policy) => PresentedToken;
  readonly verify: TokenVerifier;
  readonly nowSeconds: number;
  /** What was found of a token and the headers of a binding, which may be long: hashed once for several policies. */
  readonly bindings: Map<string, BindingResult> | undefined;
}

interface BindingResult {
  readonly token: VerifiedToken;
  readonly failure: BindingFailure | undefined;
}

function judge(asked: Asked, policy: Policy): Judgement {
  const { request, host, readToken, verify, nowSeconds } = asked;
  if (policy.mode === 'off') return { reason: 'policy_off' };
  if (policy.allowCorsPreflight && isCorsPreflight(request)) return { reason: 'cors_preflight' };

  const presented = readToken(policy);
  if (presented.kind === 'duplicate_approov_token') return { reason: presented.kind };
  if (presented.kind === 'missing_approov_token') {
    return { reason: presented.kind, sdkStatus: presented.sdkStatus };
  }
  const { token } = presented;
  const verified = verify(token, host ?? '');
  if (typeof verified === 'string') return { reason: verified, presentedToken: token };
  const failure =
    (hasClaims(verified) ? undefined : 'invalid_token_format') ??
    checkLifetime(verified, nowSeconds, policy.clockToleranceSeconds) ??
    checkClaims(verified, policy, request, host) ??
    checkBoundHeaders(verified, asked, policy);
  return { reason: failure ?? 'ok', presentedToken: token, verifiedToken: verified };
}

function conclude(
  policy: Policy | undefined,
  judgement: Judgement,
  ambiguous: Ambiguity | undefined,
  sdkStatus: Decision['sdkStatus'],
): Decision {
  const { reason } = judgement;
  const { verdict } = REASONS[reason];
  const mode = policy?.mode ?? UNKNOWN;
  return {
    policy,
    mode,
    verdict,
    action: actionFor(mode, verdict, reason === 'internal_error'),
    reason,
    presentedToken: judgement.presentedToken,
    verifiedToken: judgement.verifiedToken,
    sdkStatus: sdkStatus ?? judgement.sdkStatus,
    ambiguous,
  };
}

/** The Fetch standard's CORS-preflight request: `OPTIONS` with both headers, as a browser sends them. */
function isCorsPreflight(request: CheckRequest): boolean {
  return (
    request.method === 'OPTIONS' &&
    onlyValue(request, HEADERS_READ.origin) !== '' &&
    METHOD.test(onlyValue(request, HEADERS_READ.accessControlRequestMethod))
  );
}

/** A method is a token (RFC 9110 §9.1, §5.6.2). */
const METHOD = /^[!#$%&'*+.^_`|~0-9A-Za-z-]+$/;

/** The value of a header without the blanks around it; `''` if the header is absent or repeated. */
function onlyValue(request: CheckRequest, name: string): string {
  const [value, ...others] = headerValues(request, name);
  return value === undefined || others.length > 0 ? '' : trimOws(value).toString('latin1');
}

function checkClaims(
  token: VerifiedToken,
  policy: Policy,
  request: CheckRequest,
  host: string | undefined,
): 'claim_mismatch' | undefined {
  const hosts = host === undefined ? [] : [host, request.host.replace(/:\d*$/, '')];
  const audience = policy.audience === 'host' ? hosts : policy.audience;
  const isMatch =
    (policy.issuer === null || hasIssuer(token, policy.issuer)) &&
    (audience === null || hasAudience(token, audience));
  return isMatch ? undefined : 'claim_mismatch';
}

function checkBoundHeaders(
  token: VerifiedToken,
  { request, bindings }: Asked,
  { binding }: Policy,
): BindingFailure | undefined {
  if (binding === null) return undefined;
  const { headers, when } = binding;
  const place = `${when} ${headers.join()}`;
  const known = bindings?.get(place);
  if (known?.token === token) return known.failure;
  const values = headers.map((name) => headerValues(request, name));
  const failure = checkBinding(token, values, when);
  bindings?.set(place, { token, failure });
  return failure;
}

function readStatusHeader(request: CheckRequest): SdkStatus | 'other' | undefined {
  const values = headerValues(request, HEADERS_READ.approovStatus);
  const words = values.map((value) => trimOws(value).toString('latin1')).filter((word) => word !== '');
  if (words.length === 0) return undefined;
  return (words.length === 1 && words[0] !== undefined && parseSdkStatus(words[0])) || 'other';
}
