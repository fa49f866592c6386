/** Owns how one token is found in a request: its header, an optional prefix, or a status word in its place. */
import { trimOws } from '../approov/field-value.ts';
import { parseSdkStatus, type SdkStatus } from '../approov/sdk-status.ts';
import { type CheckRequest, headerValues } from './check-request.ts';
import type { Policy } from './policy.ts';

/** What stands where the token belongs: one candidate, or why there is none. */
export type PresentedToken =
  | { readonly kind: 'token'; readonly token: string }
  | { readonly kind: 'missing_approov_token'; readonly sdkStatus: SdkStatus | 'other' | undefined }
  | { readonly kind: 'duplicate_approov_token' };

/** Never chooses among several: Envoy joins repeated headers with a comma, which no token contains. */
export function readTokenHeader(request: CheckRequest, policy: Policy): PresentedToken {
  const [first, ...others] = headerValues(request, policy.tokenHeader);
  if (others.length > 0) return { kind: 'duplicate_approov_token' };
  const token = first === undefined ? '' : stripPrefix(trimOws(first), policy.tokenPrefix);
  if (token.includes(',')) return { kind: 'duplicate_approov_token' };
  const sdkStatus = parseSdkStatus(token);
  if (token === '' || sdkStatus !== undefined) return { kind: 'missing_approov_token', sdkStatus };
  return { kind: 'token', token };
}

/** Reads each header once, however many policies look for a token in it: its length is the sender's choice. */
export function createTokenReader(request: CheckRequest): (policy: Policy) => PresentedToken {
  const known = new Map<string, PresentedToken>();
  return (policy) => {
    const place = `${policy.tokenHeader} ${policy.tokenPrefix}`;
    const presented = known.get(place) ?? readTokenHeader(request, policy);
    known.set(place, presented);
    return presented;
  };
}

/** The tokens that the policies which judge a request would look at. */
export function presentedTokens(request: CheckRequest, policies: readonly Policy[]): ReadonlySet<string> {
  const tokens = new Set<string>();
  const readToken = createTokenReader(request);
  for (const policy of policies) {
    const presented = readToken(policy);
    if (policy.mode !== 'off' && presented.kind === 'token') tokens.add(presented.token);
  }
  return tokens;
}

function stripPrefix(value: Buffer, prefix: string): string {
  // latin1 keeps one character per byte; a byte that is not ASCII is then refused as no base64url.
  const start = value.toString('latin1', 0, prefix.length).toLowerCase();
  if (start === prefix) return trimOws(value.subarray(prefix.length)).toString('latin1');
  // A proxy trims `Bearer ` before an empty token to `Bearer`: that is the prefix and no token.
  return start === prefix.trimEnd() ? '' : value.toString('latin1');
}
