/** Tests that another implementation of RFC 9421 verifies what our signature base signs, and signs what we verify. */
import fc from 'fast-check';
import { createSigner, createVerifier, httpbis } from 'http-message-signatures';
import { describe, expect, it } from 'vitest';
import { parseDictionary } from '../../../../src/approov/message-signature/dictionary.ts';
import { signatureBases } from '../../../../src/approov/message-signature/signature-base.ts';
import { parseSignatureInput } from '../../../../src/approov/message-signature/signature-input.ts';
import {
  ACCOUNT_SECRET,
  byteSequence,
  CREATED,
  INSTALL_KEY,
  outcomeOf,
  SIGNERS,
  verifyRequest,
} from '../../../support/message-signature.ts';
import { signedRequest } from '../../../support/signed-request.ts';

const RUNS = 200;

const ORACLE = {
  install: {
    algorithm: 'ecdsa-p256-sha256',
    signer: createSigner(INSTALL_KEY.privateKey, 'ecdsa-p256-sha256'),
    verifier: createVerifier(INSTALL_KEY.publicKey, 'ecdsa-p256-sha256'),
  },
  account: {
    algorithm: 'hmac-sha256',
    signer: createSigner(ACCOUNT_SECRET, 'hmac-sha256'),
    verifier: createVerifier(ACCOUNT_SECRET, 'hmac-sha256'),
  },
} as const;

type Label = keyof typeof ORACLE;

const LABEL = fc.constantFrom<Label>('install', 'account');

/** Text that the URL parser of the oracle leaves as it is. */
const SEGMENT = fc.stringMatching(/^(?:[A-Za-z0-9_~!$&()*+,;=:@-]|%[2-7][0-9A-F]|%C3%A9){1,12}$/);
const VALUE = fc.stringMatching(/^[!-~](?:[ -~]{0,20}[!-~])?$/);
const NAME = fc.stringMatching(/^x-[a-z0-9_-]{1,10}$/);

const REQUEST = fc.record({
  label: LABEL,
  method: fc.constantFrom('GET', 'POST', 'PUT', 'DELETE', 'PATCH'),
  authority: fc.constantFrom('api.example.com', 'api.example.com:8443', '[2001:db8::1]:8443', '192.0.2.1'),
  path: fc.array(
    SEGMENT.filter((text) => !/^(?:\.|%2e)+$/i.test(text)),
    { minLength: 1, maxLength: 4 },
  ),
  query: fc.option(fc.array(SEGMENT, { minLength: 1, maxLength: 3 }), { nil: undefined }),
  headers: fc.dictionary(NAME, fc.oneof(VALUE, fc.array(VALUE, { minLength: 2, maxLength: 3 })), {
    maxKeys: 4,
  }),
  derived: fc.uniqueArray(
    fc.constantFrom('@method', '@target-uri', '@authority', '@scheme', '@path', '@query', '@request-target'),
    { minLength: 1 },
  ),
  expires: fc.option(fc.integer({ min: CREATED + 1, max: CREATED + 1000 }), { nil: undefined }),
  nonce: fc.option(fc.stringMatching(/^[ -~]{0,10}$/), { nil: undefined }),
});

type Example = typeof REQUEST extends fc.Arbitrary<infer T> ? T : never;

function pathOf({ path, query }: Example): string {
  return `/${path.join('/')}${query === undefined ? '' : `?${query.join('&')}`}`;
}

function ourRequest(example: Example, signature: Readonly<Record<string, string | readonly string[]>>) {
  const { method, authority, headers } = example;
  return signedRequest({ method, authority, path: pathOf(example), headers: { ...headers, ...signature } });
}

function theirRequest(example: Example, signature: Readonly<Record<string, string>> = {}) {
  const { method, authority, headers } = example;
  return { method, url: `https://${authority}${pathOf(example)}`, headers: { ...headers, ...signature } };
}

function decide(example: Example, signature: Readonly<Record<string, string | readonly string[]>>): string {
  const { label, derived, headers } = example;
  const options = {
    install: 'off',
    account: 'off',
    [label]: 'required',
    requiredComponents: [...derived, ...Object.keys(headers)],
  } as const;
  return outcomeOf(verifyRequest(ourRequest(example, signature), { options }));
}

describe('another implementation of RFC 9421', () => {
  it('signs what we verify', async () => {
    await fc.assert(
      fc.asyncProperty(REQUEST, async (example) => {
        const { label, derived, headers, expires, nonce } = example;
        const signed = await httpbis.signMessage(
          {
            key: ORACLE[label].signer,
            name: label,
            fields: [...derived, ...Object.keys(headers)],
            params: ['created', 'alg', 'expires', 'nonce'],
            paramValues: {
              created: new Date(CREATED * 1000),
              expires: new Date((expires ?? CREATED + 15) * 1000),
              ...(nonce === undefined ? {} : { nonce }),
            },
          },
          theirRequest(example),
        );
        const { Signature: signature = '', 'Signature-Input': input = '' } = signed.headers;
        expect(decide(example, { signature, 'signature-input': input })).toBe('verified');
        expect(decide({ ...example, method: 'HEAD' as 'GET' }, { signature, 'signature-input': input })).toBe(
          derived.includes('@method') ? 'invalid_message_signature: not_verified' : 'verified',
        );
      }),
      { numRuns: RUNS },
    );
  });

  it('verifies what our signature base signs', async () => {
    await fc.assert(
      fc.asyncProperty(REQUEST, async (example) => {
        const { label, derived, headers, expires, nonce } = example;
        const { algorithm, verifier } = ORACLE[label];
        const components = [...derived, ...Object.keys(headers)].map((name) => `"${name}"`).join(' ');
        const parameters = [
          `created=${CREATED}`,
          ...(expires === undefined ? [] : [`expires=${expires}`]),
          ...(nonce === undefined ? [] : [`nonce="${nonce.replace(/["\\]/g, '\\$&')}"`]),
          `alg="${algorithm}"`,
        ];
        const input = `${label}=(${components});${parameters.join(';')}`;
        const parsed = parseDictionary(input, { bytes: 4096, members: 1 });
        const member = parsed.kind === 'dictionary' ? parsed.members.get(label) : undefined;
        const ours = member && parseSignatureInput(member);
        const [base] = ours?.kind === 'input' ? signatureBases(ours.input, ourRequest(example, {})) : [];
        const signature = `${label}=${byteSequence(SIGNERS[label](base?.text ?? ''))}`;
        const isValid = await httpbis.verifyMessage(
          {
            keyLookup: async () => ({ algs: [algorithm], verify: verifier }),
            notAfter: new Date((CREATED + 60) * 1000),
            tolerance: 1_000_000_000,
          },
          theirRequest(example, { signature, 'signature-input': input }),
        );
        expect(isValid).toBe(true);
        expect(decide(example, { signature, 'signature-input': input })).toBe('verified');
      }),
      { numRuns: RUNS },
    );
  });
});
