/** Defines what a policy asks of message signatures, and reads the request that was signed from a check request. */
import { trimOws } from '../approov/field-value.ts';
import type { MessageSignatureOptions } from '../approov/message-signature/options.ts';
import type { RequestBody, SignedRequest } from '../approov/message-signature/signed-request.ts';
import { type CheckRequest, headerValues } from './check-request.ts';
import type { ReplayScope } from './replay.ts';

/** Each field as in the configuration, and the policy's token header. */
export interface MessageSignaturePolicy extends MessageSignatureOptions {
  readonly replay: 'off' | ReplayScope;
  /** Of the URL that the client requested. */
  readonly externalScheme: 'http' | 'https';
  /** `null`: as in the request. */
  readonly externalHost: string | null;
}

/** The headers that a policy with message signatures reads: those about signatures, and those that SDKs sign. */
export const SIGNATURE_HEADERS: ReadonlySet<string> = new Set([
  'signature-input',
  'signature',
  'signature-base-digest',
  'content-digest',
  'content-length',
  'content-type',
  'transfer-encoding',
  'authorization',
]);

/** Envoy adds it to the check request if it sends a body, and drops that of the client. */
export const PARTIAL_BODY_HEADER = 'x-envoy-auth-partial-body';

export function signedRequestOf(request: CheckRequest, policy: MessageSignaturePolicy): SignedRequest {
  return {
    method: request.method,
    scheme: policy.externalScheme,
    authority: policy.externalHost ?? request.host,
    path: request.path,
    body: bodyOf(request),
    headerValues(name) {
      const read = request.headers.get(name);
      if (read !== undefined) return read;
      return SIGNATURE_HEADERS.has(name) ? NO_VALUES : (request.allHeaders().get(name) ?? NO_VALUES);
    },
  };
}

const NO_VALUES: readonly Buffer[] = [];

function bodyOf(request: CheckRequest): RequestBody {
  const isPartial = headerValues(request, PARTIAL_BODY_HEADER).map((value) =>
    trimOws(value).toString('latin1'),
  );
  if (isPartial.some((value) => value !== 'false')) return { kind: 'truncated' };
  const isSent = isPartial.length > 0 || request.body.length > 0;
  return isSent ? { kind: 'complete', bytes: request.body } : { kind: 'unseen' };
}
