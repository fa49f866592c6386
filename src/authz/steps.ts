/** Takes a request through the steps of a check under one policy, up to the first that fails. */
import { checkLifetime, hasAudience, hasIssuer } from '../approov/claims.ts';
import type { CompactToken } from '../approov/compact-token.ts';
import { trimOws } from '../approov/field-value.ts';
import type { SignedRequest } from '../approov/message-signature/signed-request.ts';
import type { MessageSignatureResult } from '../approov/message-signature/verify-message-signature.ts';
import type { ReportedSdkStatus } from '../approov/sdk-status.ts';
import { hasClaims, type TokenResult, type VerifiedToken } from '../approov/token.ts';
import { type BindingFailure, checkBinding } from '../approov/token-binding.ts';
import { type CheckRequest, HEADERS_READ, headerValues } from './check-request.ts';
import { type MessageSignaturePolicy, signedRequestOf } from './message-signature.ts';
import type { Policy } from './policy.ts';
import type { Reason, Step } from './reason.ts';
import type { ReplayOutcome } from './replay.ts';
import type { TokenReader } from './token-header.ts';

/** Verifies a token in a request for a host; `''` is no host. */
export type VerifyToken = (token: CompactToken, host: string) => TokenResult;

/** Verifies the signatures of a request with a verified token. */
type VerifyMessage = (
  request: SignedRequest,
  policy: MessageSignaturePolicy,
  token: VerifiedToken,
) => MessageSignatureResult;

/** Verifies what one check reads, with the keys in use: its effort is limited as a whole. */
export interface CheckVerifier {
  readonly verifyToken: VerifyToken;
  readonly verifyMessage: VerifyMessage;
}

/** One check, whatever the number of policies that apply to it. */
export interface CheckContext {
  readonly request: CheckRequest;
  /** Normalised; `undefined` if absent or invalid. */
  readonly host: string | undefined;
  readonly nowSeconds: number;
  readonly readToken: TokenReader;
  readonly verifier: CheckVerifier;
  /** Results by binding, so that long headers are hashed once for several policies; `undefined` for a single one. */
  readonly bindings: Map<string, BindingResult> | undefined;
}

interface BindingResult {
  readonly token: VerifiedToken;
  readonly failure: BindingFailure | undefined;
}

/** What the steps came to under one policy. */
export interface StepsResult {
  readonly context: CheckContext;
  readonly policy: Policy;
  readonly reason: Reason;
  /** The step that stopped the check; `undefined` if all passed. */
  readonly step: Step | undefined;
  readonly presentedToken: CompactToken | undefined;
  /** `undefined` if the check stopped before a token was verified. */
  readonly tokenResult: TokenResult | undefined;
  /** `undefined` if the check stopped before, or the policy asks for no signature. */
  readonly messageSignature: MessageSignatureResult | undefined;
  /** Whether the signature was used before; `undefined` if that was not asked. */
  readonly replay: ReplayOutcome['kind'] | undefined;
  /** The status word in place of a token. */
  readonly sdkStatus: ReportedSdkStatus | undefined;
}

export function runSteps(context: CheckContext, policy: Policy): StepsResult {
  const { request, host, readToken, verifier } = context;
  if (policy.mode === 'off') return stoppedBefore(context, policy, 'policy_off', 'policy');
  if (policy.allowCorsPreflight && isCorsPreflight(request)) {
    return stoppedBefore(context, policy, 'cors_preflight', 'policy');
  }
  const presented = readToken(policy);
  if (presented.kind === 'duplicate_approov_token') {
    return stoppedBefore(context, policy, presented.kind, 'token');
  }
  if (presented.kind === 'missing_approov_token') {
    return stoppedBefore(context, policy, presented.kind, 'token', presented.sdkStatus);
  }
  const tokenResult = verifier.verifyToken(presented.token, host ?? '');
  const outcome: Outcome =
    tokenResult.kind === 'rejected' ? tokenResult : checkVerifiedToken(tokenResult.token, context, policy);
  return {
    context,
    policy,
    reason: outcome.reason,
    step: outcome.step,
    presentedToken: presented.token,
    tokenResult,
    messageSignature: outcome.messageSignature,
    replay: undefined,
    sdkStatus: undefined,
  };
}

function stoppedBefore(
  context: CheckContext,
  policy: Policy,
  reason: Reason,
  step: Step,
  sdkStatus?: ReportedSdkStatus,
): StepsResult {
  return {
    context,
    policy,
    reason,
    step,
    presentedToken: undefined,
    tokenResult: undefined,
    messageSignature: undefined,
    replay: undefined,
    sdkStatus,
  };
}

interface Outcome {
  readonly reason: Reason;
  readonly step: Step | undefined;
  readonly messageSignature?: MessageSignatureResult;
}

const PASSED: Outcome = { reason: 'ok', step: undefined };
const MALFORMED_PAYLOAD: Outcome = { reason: 'invalid_token_format', step: 'signature' };
const CLAIM_MISMATCH: Outcome = { reason: 'claim_mismatch', step: 'claims' };

/** The steps after the signature. */
function checkVerifiedToken(token: VerifiedToken, context: CheckContext, policy: Policy): Outcome {
  if (!hasClaims(token)) return MALFORMED_PAYLOAD;
  const lifetime = checkLifetime(token, context.nowSeconds, policy.clockToleranceSeconds);
  if (lifetime !== undefined) return { reason: lifetime, step: 'lifetime' };
  if (!matchesClaims(token, context, policy)) return CLAIM_MISMATCH;
  const binding = checkBoundHeaders(token, context, policy);
  if (binding !== undefined) return { reason: binding, step: 'binding' };
  return policy.messageSignature === null ? PASSED : checkMessage(token, context, policy.messageSignature);
}

function checkMessage(
  token: VerifiedToken,
  { request, verifier }: CheckContext,
  policy: MessageSignaturePolicy,
): Outcome {
  const messageSignature = verifier.verifyMessage(signedRequestOf(request, policy), policy, token);
  return messageSignature.kind === 'failed'
    ? { reason: messageSignature.failure.reason, step: 'message_signature', messageSignature }
    : { ...PASSED, messageSignature };
}

/** A CORS-preflight request as the Fetch standard defines it: `OPTIONS` with both headers. */
function isCorsPreflight(request: CheckRequest): boolean {
  return (
    request.method === 'OPTIONS' &&
    singleValue(request, HEADERS_READ.origin) !== '' &&
    METHOD.test(singleValue(request, HEADERS_READ.accessControlRequestMethod))
  );
}

/** A method is a token (RFC 9110 §9.1, §5.6.2). */
const METHOD = /^[!#$%&'*+.^_`|~0-9A-Za-z-]+$/;

/** The trimmed value of a header; `''` if the header is absent or repeated. */
function singleValue(request: CheckRequest, name: string): string {
  const [value, ...others] = headerValues(request, name);
  return value === undefined || others.length > 0 ? '' : trimOws(value).toString('latin1');
}

function matchesClaims(token: VerifiedToken, context: CheckContext, policy: Policy): boolean {
  const audience = expectedAudience(context, policy);
  return (
    (policy.issuer === null || hasIssuer(token, policy.issuer)) &&
    (audience === null || hasAudience(token, audience))
  );
}

/** `null`: any. */
export function expectedAudience({ request, host }: CheckContext, policy: Policy): readonly string[] | null {
  if (policy.audience !== 'host') return policy.audience;
  return host === undefined ? [] : [host, request.host.replace(/:\d*$/, '')];
}

function checkBoundHeaders(
  token: VerifiedToken,
  { request, bindings }: CheckContext,
  { binding }: Policy,
): BindingFailure | undefined {
  if (binding === null) return undefined;
  const { headers, when } = binding;
  const check = (): BindingFailure | undefined =>
    checkBinding(
      token,
      headers.map((name) => headerValues(request, name)),
      when,
    );
  if (bindings === undefined) return check();
  const key = `${when} ${headers.join()}`;
  const known = bindings.get(key);
  if (known?.token === token) return known.failure;
  const failure = check();
  bindings.set(key, { token, failure });
  return failure;
}
