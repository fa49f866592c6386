/** Generates requests to sign, in a form that other implementations of RFC 9421 leave as it is. */
import fc from 'fast-check';
import { CREATED, outcomeOf, verifyRequest } from './message-signature.ts';
import { type RequestFields, signedRequest } from './signed-request.ts';

/** Text that the URL parser of http-message-signatures leaves as it is. */
const SEGMENT = fc.stringMatching(/^(?:[A-Za-z0-9_~!$&()*+,;=:@-]|%[2-7][0-9A-F]|%C3%A9){1,12}$/);
const VALUE = fc.stringMatching(/^[!-~](?:[ -~]{0,20}[!-~])?$/);
const NAME = fc.stringMatching(/^x-[a-z0-9_-]{1,10}$/);

export const EXAMPLE = fc.record({
  label: fc.constantFrom('install', 'account'),
  method: fc.constantFrom('GET', 'POST', 'PUT', 'DELETE', 'PATCH'),
  authority: fc.constantFrom('api.example.com', 'api.example.com:8443', '[2001:db8::1]:8443', '192.0.2.1'),
  segments: fc.array(
    SEGMENT.filter((text) => !/^(?:\.|%2e)+$/i.test(text)),
    { minLength: 1, maxLength: 4 },
  ),
  parameters: fc.option(fc.array(SEGMENT, { minLength: 1, maxLength: 3 }), { nil: undefined }),
  headers: fc.dictionary(NAME, fc.oneof(VALUE, fc.array(VALUE, { minLength: 2, maxLength: 3 })), {
    maxKeys: 4,
  }),
  derived: fc.uniqueArray(
    fc.constantFrom('@method', '@target-uri', '@authority', '@scheme', '@path', '@query', '@request-target'),
    { minLength: 1 },
  ),
  expires: fc.option(fc.integer({ min: CREATED + 1, max: CREATED + 1000 }), { nil: undefined }),
  nonce: fc.option(fc.stringMatching(/^[ -~]{1,10}$/), { nil: undefined }),
});

export type Example = typeof EXAMPLE extends fc.Arbitrary<infer T> ? T : never;

export function pathOf({ segments, parameters }: Example): string {
  return `/${segments.join('/')}${parameters === undefined ? '' : `?${parameters.join('&')}`}`;
}

/** All that the signature of the example covers. */
export function componentsOf({ derived, headers }: Example): readonly string[] {
  return [...derived, ...Object.keys(headers)];
}

export const ALGORITHMS = { install: 'ecdsa-p256-sha256', account: 'hmac-sha256' } as const;

/** With the leading semicolon. */
export function parametersOf({ label, expires, nonce }: Example): string {
  return [
    `;created=${CREATED}`,
    ...(expires === undefined ? [] : [`expires=${expires}`]),
    ...(nonce === undefined ? [] : [`nonce="${nonce.replace(/["\\]/g, '\\$&')}"`]),
    `alg="${ALGORITHMS[label]}"`,
  ].join(';');
}

export type SentSignature = Readonly<Record<'signature-input' | 'signature', string>>;

/** The outcome of an example with a signature, where everything that it covers is required. */
export function decideExample(
  example: Example,
  signature: SentSignature,
  changed: RequestFields = {},
): string {
  const { label, method, authority } = example;
  const request = { method, authority, path: pathOf(example), ...changed };
  const headers = { ...example.headers, ...changed.headers, ...signature };
  const options = {
    install: 'off',
    account: 'off',
    [label]: 'required',
    requiredComponents: componentsOf(example),
  } as const;
  return outcomeOf(verifyRequest(signedRequest({ ...request, headers }), { options }));
}
