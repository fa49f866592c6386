/** Reads the request to sign from the command line. */
import { CONTENT_DIGEST, contentDigestOf } from '../../approov/message-signature/content-digest.ts';
import type { SignedRequest } from '../../approov/message-signature/signed-request.ts';
import { choosePolicies, type Policy, type PolicyTable } from '../../authz/policy.ts';
import { TOKEN } from '../../config/header-name.ts';
import { type Options, UsageError } from '../command.ts';
import { type HeaderLine, readBody, readHeaders } from '../request-options.ts';

export const REQUEST_OPTIONS = {
  'sign-request': { type: 'string' },
  header: { type: 'string', multiple: true },
  'body-file': { type: 'string' },
} as const;

export interface RequestToSign {
  readonly method: string;
  readonly scheme: string;
  readonly authority: string;
  /** With its query. */
  readonly path: string;
  /** As given, names in lower case. */
  readonly headers: readonly HeaderLine[];
  readonly body: Buffer | undefined;
}

/** As written, for what the app signs is not normalised. Without user name and fragment, which are not sent. */
const URL_PARTS = /^(https?):\/\/([^/?#@]+)(\/[^?#]*)?(\?[^#]*)?(?:#.*)?$/i;

const SIGN_REQUEST_USAGE = '--sign-request: give METHOD and URL, such as GET https://api.example.com/orders';

export const URL_USAGE =
  '--sign-request: the URL must be http or https with a host and no user name, such as https://api.example.com/orders';

/** `undefined` without `--sign-request`. */
export async function readRequest(options: Options): Promise<RequestToSign | undefined> {
  const method = options.text('sign-request');
  if (method === undefined) return undefined;
  const url = options.argument() ?? '';
  const parts = URL_PARTS.exec(url);
  if (url === '' || !TOKEN.test(method)) throw new UsageError(SIGN_REQUEST_USAGE);
  if (/[^!-~]/.test(url)) throw new UsageError('--sign-request: the URL must be percent-encoded');
  if (parts === null) throw new UsageError(URL_USAGE);
  const [, scheme = '', authority = '', path = '/', query = ''] = parts;
  const headers = readHeaders(options).map(checkHeader);
  return { method, scheme, authority, path: `${path}${query}`, headers, body: await readBody(options) };
}

function checkHeader([name, value]: HeaderLine): HeaderLine {
  // An empty header would have to be written in another way for curl.
  if (!TOKEN.test(name) || value === '') throw new UsageError("--header: must be 'name: value'");
  // A line break in a value would begin another header.
  if (/\p{Cc}/u.test(value.replaceAll('\t', ''))) throw new UsageError('--header: has a control character');
  return [name, value];
}

/** The first policy that applies, which has the token header. */
export function policyFor({ method, path, authority }: RequestToSign, table: PolicyTable): Policy {
  const target = { method, path, host: authority, policyName: undefined };
  const [policy = table.defaultPolicy] = choosePolicies(target, table).policies;
  return policy;
}

/** The headers to send: the token, those given, and the digest of the body, whose length the client adds. */
export function headersToSend(
  { headers, body }: RequestToSign,
  { tokenHeader, tokenPrefix }: Policy,
  token: string,
): readonly HeaderLine[] {
  const names = ['host', 'content-length', CONTENT_DIGEST, 'signature-input', 'signature', tokenHeader];
  const taken = headers.find(([name]) => names.includes(name));
  if (taken !== undefined) throw new UsageError(`--header: ${taken[0]} follows from the other options`);
  const digest: readonly HeaderLine[] = body === undefined ? [] : [[CONTENT_DIGEST, contentDigestOf(body)]];
  return [[tokenHeader, `${tokenPrefix}${token}`], ...headers, ...digest];
}

/** The request as the service will see it. */
export function toSignedRequest(
  { method, scheme, authority, path, body }: RequestToSign,
  headers: readonly HeaderLine[],
): SignedRequest {
  const length: readonly HeaderLine[] = body === undefined ? [] : [['content-length', `${body.length}`]];
  const all = [...headers, ...length];
  return {
    ...{ method, scheme, authority, path },
    body: body === undefined ? { kind: 'unseen' } : { kind: 'complete', bytes: body },
    headerValues: (name) => all.flatMap(([each, value]) => (each === name ? [Buffer.from(value)] : [])),
  };
}
