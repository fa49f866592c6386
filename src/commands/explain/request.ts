/** Reads the request to explain from the command line. */
import type { CheckRequest } from '../../authz/check-request.ts';
import { PARTIAL_BODY_HEADER } from '../../authz/message-signature.ts';
import { choosePolicies, type PolicyTable } from '../../authz/policy.ts';
import { type Io, type Options, UsageError } from '../command.ts';
import { readBody, readHeaders } from '../request-options.ts';

/** Without the token of `--token`, whose header depends on the policy. */
export async function readRequest(options: Options): Promise<CheckRequest> {
  const headers = new Map<string, Buffer[]>();
  for (const [name, value] of readHeaders(options)) addHeader(headers, name, value);
  const body = await readBody(options);
  if (body !== undefined) addBodyHeaders(headers, body);
  return {
    method: options.text('method') ?? 'GET',
    path: options.text('path') ?? '/',
    host: options.text('host') ?? '',
    headers,
    resultHeaderAliases: new Set(),
    policyName: options.text('policy'),
    sourceAddress: '',
    requestId: '',
    body: body ?? Buffer.alloc(0),
    allHeaders: () => headers,
  };
}

/** Those that Envoy would send with the whole body, and the client's length unless it is given. */
function addBodyHeaders(headers: Map<string, Buffer[]>, body: Buffer): void {
  addHeader(headers, PARTIAL_BODY_HEADER, 'false');
  const hasLength = headers.has('content-length') || headers.has('transfer-encoding');
  if (!hasLength) addHeader(headers, 'content-length', String(body.length));
}

/** Adds the token in the token header of each policy that applies to the request. */
export function withToken(
  request: CheckRequest,
  table: PolicyTable,
  token: string | undefined,
): CheckRequest {
  if (token === undefined) return request;
  const headers = new Map([...request.allHeaders()].map(([name, values]) => [name, [...values]]));
  const names = new Set(choosePolicies(request, table).policies.map((policy) => policy.tokenHeader));
  for (const name of names) addHeader(headers, name, token);
  return { ...request, headers, allHeaders: () => headers };
}

function addHeader(headers: Map<string, Buffer[]>, name: string, value: string): void {
  headers.set(name, [...(headers.get(name) ?? []), Buffer.from(value)]);
}

/** The time of the decision; `isGiven`: by `--at`. */
export function readTime(options: Options, io: Io): { readonly seconds: number; readonly isGiven: boolean } {
  const text = options.text('at');
  if (text === undefined) return { seconds: io.nowSeconds(), isGiven: false };
  const seconds = /^\d+(\.\d+)?$/.test(text) ? Number(text) : Date.parse(text) / 1000;
  if (!Number.isFinite(seconds)) {
    throw new UsageError('--at: must be a time such as 2026-01-31T12:00:00Z, or seconds since the epoch');
  }
  return { seconds, isGiven: true };
}
