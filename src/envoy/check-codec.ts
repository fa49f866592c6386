/** Owns the bridge between Envoy's CheckRequest and CheckResponse on the wire and our own words. */
import type { CheckRequest } from '../authz/check-request.ts';
import type { Decision } from '../authz/decide.ts';
import {
  ACTION_HEADER,
  claimHeader,
  REASON_HEADER,
  RESULT_HEADERS,
  VERDICT_HEADER,
} from '../authz/result-header.ts';
import { UNKNOWN } from '../authz/verdict.ts';
import { bytesField, lengthDelimited, type Span, stringField, varintField, WireReader } from './wire.ts';

/** `context_extensions` key by which Envoy's per-route configuration names a policy. */
const POLICY_EXTENSION = 'approov_policy';

/** What a refused client is told. */
export interface DeniedResponse {
  readonly status: number;
  readonly body: string;
  readonly contentType: string;
  /** Whether `x-approov-reason` goes to the client. */
  readonly exposeReason: boolean;
}

/** Tags of the fields that are read; numbers as in proto/. */
const TAG = {
  checkRequest: { attributes: lengthDelimited(1) },
  attributeContext: {
    source: lengthDelimited(1),
    request: lengthDelimited(4),
    contextExtensions: lengthDelimited(10),
  },
  peer: { address: lengthDelimited(1) },
  address: { socketAddress: lengthDelimited(1), pipe: lengthDelimited(2) },
  socketAddress: { address: lengthDelimited(2) },
  pipe: { path: lengthDelimited(1) },
  request: { http: lengthDelimited(2) },
  httpRequest: {
    method: lengthDelimited(2),
    headers: lengthDelimited(3),
    path: lengthDelimited(4),
    host: lengthDelimited(5),
    headerMap: lengthDelimited(13),
  },
  headerMap: { headers: lengthDelimited(1) },
  pair: { key: lengthDelimited(1), value: lengthDelimited(2), rawValue: lengthDelimited(3) },
} as const;

/** A CheckRequest while it is read: a singular message that is repeated merges into it, as protobuf demands. */
class Draft implements CheckRequest {
  method = '';
  path = '';
  host = '';
  readonly headers = new Map<string, Buffer[]>();
  policyName: string | undefined;
  sourceAddress = '';
  readonly #headerNames: ReadonlySet<string>;

  constructor(headerNames: ReadonlySet<string>) {
    this.#headerNames = headerNames;
  }

  /** Headers of both forms add up: one that stands in both counts as repeated, instead of one form being believed. */
  addHeader(reader: WireReader, pair: Pair): void {
    const name = pair.key.toLowerCase();
    if (!this.#headerNames.has(name)) return;
    const bytes = reader.view(pair);
    const values = this.headers.get(name);
    if (values === undefined) this.headers.set(name, [bytes]);
    else values.push(bytes);
  }
}

/**
 * Reads a CheckRequest; any field may be missing, unknown ones are skipped.
 * @param headerNames the headers to keep, in lower case: no other can be looked at later.
 * @throws {WireError} the message does not decode.
 */
export function decodeCheckRequest(message: Buffer, headerNames: ReadonlySet<string>): CheckRequest {
  return new WireReader(message).fields(readCheckRequest, new Draft(headerNames));
}

function readCheckRequest(reader: WireReader, tag: number, draft: Draft): void {
  if (tag === TAG.checkRequest.attributes) reader.message(readAttributeContext, draft);
  else reader.skip(tag);
}

function readAttributeContext(reader: WireReader, tag: number, draft: Draft): void {
  switch (tag) {
    case TAG.attributeContext.source:
      reader.message(readPeer, draft);
      return;
    case TAG.attributeContext.request:
      reader.message(readRequest, draft);
      return;
    case TAG.attributeContext.contextExtensions: {
      const extension = reader.message(readPair, new Pair());
      if (extension.key === POLICY_EXTENSION) draft.policyName = reader.view(extension).toString();
      return;
    }
    default:
      reader.skip(tag);
  }
}

function readPeer(reader: WireReader, tag: number, draft: Draft): void {
  if (tag === TAG.peer.address) reader.message(readAddress, draft);
  else reader.skip(tag);
}

function readAddress(reader: WireReader, tag: number, draft: Draft): void {
  if (tag === TAG.address.socketAddress) reader.message(readSocketAddress, draft);
  else if (tag === TAG.address.pipe) reader.message(readPipe, draft);
  else reader.skip(tag);
}

function readSocketAddress(reader: WireReader, tag: number, draft: Draft): void {
  if (tag === TAG.socketAddress.address) draft.sourceAddress = reader.utf8();
  else reader.skip(tag);
}

function readPipe(reader: WireReader, tag: number, draft: Draft): void {
  if (tag === TAG.pipe.path) draft.sourceAddress = reader.utf8();
  else reader.skip(tag);
}

function readRequest(reader: WireReader, tag: number, draft: Draft): void {
  if (tag === TAG.request.http) reader.message(readHttpRequest, draft);
  else reader.skip(tag);
}

function readHttpRequest(reader: WireReader, tag: number, draft: Draft): void {
  switch (tag) {
    case TAG.httpRequest.method:
      draft.method = reader.utf8();
      return;
    case TAG.httpRequest.path:
      draft.path = reader.utf8();
      return;
    case TAG.httpRequest.host:
      draft.host = reader.utf8();
      return;
    case TAG.httpRequest.headers:
      readHeader(reader, draft);
      return;
    case TAG.httpRequest.headerMap:
      reader.message(readHeaderMap, draft);
      return;
    default:
      reader.skip(tag);
  }
}

function readHeaderMap(reader: WireReader, tag: number, draft: Draft): void {
  if (tag === TAG.headerMap.headers) readHeader(reader, draft);
  else reader.skip(tag);
}

function readHeader(reader: WireReader, draft: Draft): void {
  draft.addHeader(reader, reader.message(readPair, new Pair()));
}

/** A map entry or a HeaderValue, with the place of its value: `value` or `raw_value`, of which Envoy sends one. */
class Pair implements Span {
  key = '';
  start = 0;
  end = 0;
}

function readPair(reader: WireReader, tag: number, pair: Pair): void {
  switch (tag) {
    case TAG.pair.key:
      pair.key = reader.latin1();
      return;
    case TAG.pair.value:
    case TAG.pair.rawValue:
      reader.mark(pair);
      return;
    default:
      reader.skip(tag);
  }
}

/** Writes the answer to a check. The RPC itself is OK for each of them: an RPC error would count as a failure of ours. */
export function encodeCheckResponse(decision: Decision, denied: DeniedResponse): Buffer {
  const fixed = fixedParts(decision, denied);
  const claims = forwardedClaims(decision);
  const response = claims.size === 0 ? fixed.response : encodeResponse(decision, denied, claims);
  const did = decision.verdict === 'verified' ? decision.verifiedToken?.claims['did'] : undefined;
  const metadata =
    typeof did === 'string' && did !== ''
      ? bytesField(4, fixed.metadata, metadataEntry('approov_did', did))
      : bytesField(4, fixed.metadata);
  return Buffer.concat([response, metadata]);
}

/** What of an answer does not depend on the token's claims. */
interface FixedParts {
  /** `status` and `http_response`. */
  readonly response: Buffer;
  /** Entries of the Struct. */
  readonly metadata: Buffer;
}

/**
 * Encoded once per outcome: measured, this was most of a check's cost. Keyed by the configured answer, so that
 * what belongs to a configuration goes with it; the other keys are closed sets or configured names.
 */
const fixedPartsByAnswer = new WeakMap<DeniedResponse, Map<string, FixedParts>>();

function fixedParts(decision: Decision, denied: DeniedResponse): FixedParts {
  const known = fixedPartsByAnswer.get(denied) ?? new Map<string, FixedParts>();
  fixedPartsByAnswer.set(denied, known);
  const { policy, mode, reason, verifiedToken } = decision;
  const outcome = `${policy?.name ?? UNKNOWN} ${mode} ${reason} ${verifiedToken?.keyId ?? ''}`;
  const found = known.get(outcome);
  if (found !== undefined) return found;
  const parts = {
    response: encodeResponse(decision, denied, new Map()),
    metadata: Buffer.concat(metadataEntries(decision)),
  };
  known.set(outcome, parts);
  return parts;
}

function encodeResponse(
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
function forwardedClaims({ verdict, policy, verifiedToken }: Decision): ReadonlyMap<string, string> {
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
function metadataEntries({ verdict, action, reason, policy, mode, verifiedToken }: Decision): Buffer[] {
  return [
    metadataEntry('approov_verdict', verdict),
    metadataEntry('approov_action', action),
    metadataEntry('approov_reason', reason),
    metadataEntry('approov_policy', policy?.name ?? UNKNOWN),
    metadataEntry('approov_mode', mode),
    ...(verifiedToken === undefined ? [] : [metadataEntry('approov_key_id', verifiedToken.keyId)]),
  ];
}

function metadataEntry(key: string, value: string): Buffer {
  return bytesField(1, stringField(1, key), bytesField(2, stringField(3, value)));
}
