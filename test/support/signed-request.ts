/** Builds requests in HTTP terms for tests of message signatures. */
import type { RequestBody, SignedRequest } from '../../src/approov/message-signature/signed-request.ts';

type HeaderFields = Readonly<Record<string, string | readonly string[]>>;

export interface RequestFields {
  readonly method?: string;
  readonly scheme?: string;
  readonly authority?: string;
  readonly path?: string;
  /** A string stands for its latin1 bytes. */
  readonly headers?: HeaderFields;
  /** `undefined`: none was passed on. */
  readonly body?: string | RequestBody | undefined;
}

export function signedRequest({ headers = {}, body, ...fields }: RequestFields = {}): SignedRequest {
  const values = new Map(
    Object.entries(headers).map(([name, value]) => [
      name,
      [value].flat().map((text) => Buffer.from(text, 'latin1')),
    ]),
  );
  return {
    method: 'GET',
    scheme: 'https',
    authority: 'api.example.com',
    path: '/v1/shapes',
    ...fields,
    body: readBody(body),
    headerValues: (name) => values.get(name) ?? [],
  };
}

function readBody(body: string | RequestBody | undefined): RequestBody {
  if (body === undefined) return { kind: 'unseen' };
  return typeof body === 'string' ? { kind: 'complete', bytes: Buffer.from(body) } : body;
}
