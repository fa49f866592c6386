/** Reads the token of a request from its header: without the configured prefix, or an SDK status word in its place. */
import { CompactToken } from '../approov/compact-token.ts';
import { trimOws } from '../approov/field-value.ts';
import { parseSdkStatus, type ReportedSdkStatus } from '../approov/sdk-status.ts';
import { type CheckRequest, headerValues } from './check-request.ts';
import type { Policy } from './policy.ts';

type PresentedToken =
  | { readonly kind: 'token'; readonly token: CompactToken }
  | { readonly kind: 'missing_approov_token'; readonly sdkStatus: ReportedSdkStatus | undefined }
  | { readonly kind: 'duplicate_approov_token' };

/** Never selects one of several tokens. Envoy joins repeated headers with a comma, which no token contains. */
export function readTokenHeader(request: CheckRequest, policy: Policy): PresentedToken {
  const values = headerValues(request, policy.tokenHeader);
  if (values.length > 1) return { kind: 'duplicate_approov_token' };
  const [first] = values;
  const text = first === undefined ? '' : stripPrefix(trimOws(first), policy.tokenPrefix);
  if (text.includes(',')) return { kind: 'duplicate_approov_token' };
  const sdkStatus = parseSdkStatus(text);
  if (text === '' || sdkStatus !== undefined) return { kind: 'missing_approov_token', sdkStatus };
  return { kind: 'token', token: new CompactToken(text) };
}

export type TokenReader = (policy: Policy) => PresentedToken;

/**
 * Reads each token header of a request once, however many policies and steps ask for it: the sender chooses its length.
 * @param policies the policies that the reader is for.
 */
export function createTokenReader(request: CheckRequest, policies: readonly Policy[]): TokenReader {
  if (policies.length === 1) {
    let only: PresentedToken | undefined;
    return (policy) => {
      only ??= readTokenHeader(request, policy);
      return only;
    };
  }
  const known = new Map<string, PresentedToken>();
  return (policy) => {
    const key = `${policy.tokenHeader} ${policy.tokenPrefix}`;
    const presented = known.get(key) ?? readTokenHeader(request, policy);
    known.set(key, presented);
    return presented;
  };
}

function stripPrefix(value: Buffer, prefix: string): string {
  // latin1 keeps one character per byte; a byte that is not ASCII then fails as base64url.
  if (prefix === '') return value.toString('latin1');
  const start = value.toString('latin1', 0, prefix.length).toLowerCase();
  if (start === prefix) return trimOws(value.subarray(prefix.length)).toString('latin1');
  // A proxy trims `Bearer ` before an empty token to `Bearer`: a prefix without a token.
  return start === prefix.trimEnd() ? '' : value.toString('latin1');
}
