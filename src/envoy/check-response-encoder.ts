/** Encodes Envoy's CheckResponse from a decision. */
import type { Decision } from '../authz/decide.ts';
import type { DeniedResponse } from '../authz/denied-response.ts';
import type { Reason } from '../authz/reason.ts';
import {
  ACTION_HEADER,
  claimHeader,
  REASON_HEADER,
  RESULT_HEADERS,
  VERDICT_HEADER,
} from '../authz/result-header.ts';
import { UNKNOWN } from '../authz/verdict.ts';
import { appendBytesField, bytesField, stringField, varintField } from './wire-writer.ts';

const NO_ALIASES: ReadonlySet<string> = new Set();
const NO_CLAIMS: ReadonlyMap<string, string> = new Map();

/**
 * Encodes the response to a check. The RPC status is always OK: Envoy treats an RPC error as a failed check.
 * @param denied unless the policy has its own.
 * @param aliases of result headers in the request, to be removed.
 * @returns bytes that must not be changed: other checks may get the same.
 */
export function encodeCheckResponse(
  decision: Decision,
  denied: DeniedResponse,
  aliases: ReadonlySet<string> = NO_ALIASES,
): Buffer {
  const fixed = fixedParts(decision, denied);
  const claims = forwardedClaims(decision);
  const did = decision.verdict === 'verified' ? decision.verifiedToken?.claims['did'] : undefined;
  const hasDid = typeof did === 'string' && did !== '';
  if (claims.size + aliases.size === 0) return hasDid ? withDid(fixed, did) : fixed.message;
  const response = encodeResponse(decision, denied, claims, aliases);
  return withMetadata(response, fixed.metadata, hasDid ? did : undefined);
}

/** The parts of a response that do not depend on the token's claims. */
interface FixedParts {
  /** `status` and `http_response`. */
  readonly response: Buffer;
  /** Entries of the Struct. */
  readonly metadata: Buffer;
  /** The response to a token without a did. */
  readonly message: Buffer;
  /** The response to the last token with a did. */
  withDid: { readonly didBytes: number; readonly message: Buffer } | undefined;
}

/** Nearly all dids are equally long, and the did is the end of the response. */
function withDid(fixed: FixedParts, did: string): Buffer {
  const didBytes = Buffer.byteLength(did);
  if (fixed.withDid?.didBytes !== didBytes) {
    fixed.withDid = { didBytes, message: withMetadata(fixed.response, fixed.metadata, did) };
  }
  const { length } = fixed.withDid.message;
  const message = Buffer.allocUnsafe(length);
  message.set(fixed.withDid.message);
  message.write(did, length - didBytes);
  return message;
}

function withMetadata(response: Buffer, entries: Buffer, did: string | undefined): Buffer {
  return did === undefined
    ? appendBytesField(response, 4, entries)
    : appendBytesField(response, 4, entries, entryOf(DID_KEY, did));
}

/** The key of checks without a policy. */
const NO_POLICY = {};

/**
 * Encoded once per outcome, since encoding was most of a check's cost. Keyed weakly by the configured objects, so that
 * a reload frees it; reasons, modes and key ids are closed sets or configured names.
 */
const fixedPartsOf = new WeakMap<DeniedResponse, WeakMap<object, Map<Reason, Map<string, FixedParts>>>>();

function fixedParts(decision: Decision, denied: DeniedResponse): FixedParts {
  const { policy, reason, verifiedToken } = decision;
  // The policy is in the mode in effect. No key is joined from parts: hashing it would cost more than these lookups.
  const byReason = getOrAdd(getOrAdd(fixedPartsOf, denied, newWeakMap), policy ?? NO_POLICY, newReasons);
  const byKeyId = getOrAdd(byReason, reason, newKeyIds);
  return getOrAdd(byKeyId, verifiedToken?.keyId ?? '', () => {
    const response = encodeResponse(decision, denied, NO_CLAIMS, NO_ALIASES);
    const metadata = Buffer.concat(metadataEntries(decision));
    return { response, metadata, message: withMetadata(response, metadata, undefined), withDid: undefined };
  });
}

const newWeakMap = (): WeakMap<object, Map<Reason, Map<string, FixedParts>>> => new WeakMap();
const newReasons = (): Map<Reason, Map<string, FixedParts>> => new Map();
const newKeyIds = (): Map<string, FixedParts> => new Map();

interface MapLike<K, V> {
  get(key: K): V | undefined;
  set(key: K, value: V): unknown;
}

function getOrAdd<K, V>(map: MapLike<K, V>, key: K, create: () => V): V {
  const found = map.get(key);
  if (found !== undefined) return found;
  const created = create();
  map.set(key, created);
  return created;
}

/** The fields `status` and `http_response`. */
function encodeResponse(
  decision: Decision,
  denied: DeniedResponse,
  claims: ReadonlyMap<string, string>,
  aliases: ReadonlySet<string>,
): Buffer {
  if (decision.action !== 'deny') {
    return Buffer.concat([STATUS_OK, bytesField(3, ...okResponse(decision, claims, aliases))]);
  }
  const response = decision.policy?.denied ?? denied;
  return decision.reason === 'internal_error'
    ? Buffer.concat([STATUS_UNAVAILABLE, bytesField(2, ...deniedResponse(decision, response, 503))])
    : Buffer.concat([
        STATUS_UNAUTHENTICATED,
        bytesField(2, ...deniedResponse(decision, response, response.status)),
      ]);
}

// Envoy allows a request if this code is 0 or missing, whatever else the response says.
const STATUS_OK = bytesField(1, varintField(1, 0));
const STATUS_UNAUTHENTICATED = bytesField(1, varintField(1, 16));
// With `denied_response`: `error_response` would allow the request under `failure_mode_allow`.
const STATUS_UNAVAILABLE = bytesField(1, varintField(1, 14));

/** Fields of an OkHttpResponse. Each of our headers is set or removed, so that no client can forge one. */
function okResponse(
  decision: Decision,
  claims: ReadonlyMap<string, string>,
  aliases: ReadonlySet<string>,
): Buffer[] {
  const { verdict, action, reason, policy } = decision;
  const headers = new Map<string, string>([[VERDICT_HEADER, verdict], [ACTION_HEADER, action], ...claims]);
  if (reason !== 'ok') headers.set(REASON_HEADER, reason);
  const fields = RESULT_HEADERS.map((name) => {
    const value = headers.get(name);
    return value === undefined ? removal(name) : overwritingHeader(name, value);
  });
  for (const name of aliases) fields.push(removal(name));
  if (policy?.forwardToken === false) fields.push(removal(policy.tokenHeader));
  return fields;
}

/** Encoded once: all names are ours or configured. */
const removals = new Map<string, Buffer>();

function removal(name: string): Buffer {
  return getOrAdd(removals, name, () => stringField(5, name));
}

/** The claims that the policy forwards and the token has, by header name. */
function forwardedClaims({ verdict, policy, verifiedToken }: Decision): ReadonlyMap<string, string> {
  if (verdict !== 'verified' || policy === undefined || policy.forwardClaims.length === 0) return NO_CLAIMS;
  const forwarded = new Map<string, string>();
  for (const claim of policy.forwardClaims) {
    const value = verifiedToken?.claims[claim];
    if (typeof value === 'string' && FORWARDABLE_VALUE.test(value)) forwarded.set(claimHeader(claim), value);
  }
  return forwarded;
}

/** 1 to 1024 visible ASCII characters (VCHAR of RFC 5234), a field value that every proxy accepts. */
const FORWARDABLE_VALUE = /^[\x21-\x7e]{1,1024}$/;

/** Fields of a DeniedHttpResponse. */
function deniedResponse(decision: Decision, denied: DeniedResponse, status: number): Buffer[] {
  const headers = [
    ...Object.entries(denied.headers).map(([name, value]) => overwritingHeader(name, value)),
    overwritingHeader('content-type', denied.contentType),
    overwritingHeader('cache-control', 'no-store'),
  ];
  // RFC 9110 §15.5.2: a 401 names the scheme by which to authenticate.
  if (status === 401) headers.push(overwritingHeader('www-authenticate', 'Approov'));
  if (denied.exposeReason) headers.push(overwritingHeader(REASON_HEADER, decision.reason));
  return [bytesField(1, varintField(1, status)), ...headers, stringField(3, denied.body)];
}

/**
 * A HeaderValueOption that overwrites. Some versions of Envoy read `append`, others `append_action`; if the one it reads
 * were unset, a forged value would stay.
 */
function overwritingHeader(name: string, value: string): Buffer {
  const key = getOrAdd(keyFields, name, () => stringField(1, name));
  return bytesField(2, bytesField(1, key, stringField(2, value)), OVERWRITE);
}

/** Encoded once, as the removals. */
const keyFields = new Map<string, Buffer>();

const APPEND_FALSE = bytesField(2);
const OVERWRITE_IF_EXISTS_OR_ADD = varintField(3, 2);
const OVERWRITE = Buffer.concat([APPEND_FALSE, OVERWRITE_IF_EXISTS_OR_ADD]);

/** Entries of the Struct: flat and strings only, since rate limit descriptors read nothing else. */
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
  return entryOf(stringField(1, key), value);
}

const DID_KEY = stringField(1, 'approov_did');

/** @param key encoded as the entry's first field. */
function entryOf(key: Buffer, value: string): Buffer {
  return bytesField(1, key, bytesField(2, stringField(3, value)));
}
