/** Tests that other implementations of RFC 9421 sign what we verify, and verify what our signature base signs. */
import fc from 'fast-check';
import { createVerifier, httpbis } from 'http-message-signatures';
import { afterAll, beforeAll, describe, expect, it, onTestFinished } from 'vitest';
import { parseDictionary } from '../../../../src/approov/message-signature/dictionary.ts';
import { signatureBases } from '../../../../src/approov/message-signature/signature-base.ts';
import { parseSignatureInput } from '../../../../src/approov/message-signature/signature-input.ts';
import { BYTE_CHANGE, type ByteChange, changeByte, meaningOf } from '../../../support/byte-change.ts';
import {
  createLibrarySigner,
  type IndependentSigner,
  libraryRequest,
  PYTHON,
  startPythonSigner,
} from '../../../support/independent-signers.ts';
import {
  ACCOUNT_SECRET,
  byteSequence,
  CREATED,
  INSTALL_KEY,
  SIGNERS,
} from '../../../support/message-signature.ts';
import { OPENSSL, unmet } from '../../../support/requirement.ts';
import {
  ALGORITHMS,
  componentsOf,
  decideExample,
  EXAMPLE,
  type Example,
  parametersOf,
  pathOf,
  type SentSignature,
} from '../../../support/signature-examples.ts';
import { type RequestFields, signedRequest } from '../../../support/signed-request.ts';

const RUNS = 200;

const VERIFIERS = {
  install: createVerifier(INSTALL_KEY.publicKey, ALGORITHMS.install),
  account: createVerifier(ACCOUNT_SECRET, ALGORITHMS.account),
};

/** An empty port is none, and a question mark makes a query of a part of the path. */
function isMoved(part: string, changed: string): boolean {
  return (part === 'authority' && changed.endsWith(':')) || (part === 'path' && changed.includes('?'));
}

/** The parts of an example that it covers, with another byte; none if the change has no meaning. */
function changesOf(example: Example, change: ByteChange): readonly RequestFields[] {
  const { derived, method, authority, headers } = example;
  const [path = '', query] = pathOf(example).split('?');
  const covers = (...names: readonly Example['derived'][number][]): boolean =>
    derived.includes('@target-uri') || names.some((name) => derived.includes(name));
  const other = (part: string, text: string, apply: (changed: string) => RequestFields): RequestFields[] => {
    const changed = changeByte(text, change);
    return meaningOf(part, changed) === meaningOf(part, text) || isMoved(part, changed)
      ? []
      : [apply(changed)];
  };
  const withQuery = query === undefined ? '' : `?${query}`;
  return [
    ...(derived.includes('@method') ? other('method', method, (changed) => ({ method: changed })) : []),
    ...(covers('@authority') ? other('authority', authority, (changed) => ({ authority: changed })) : []),
    ...(covers('@path', '@request-target')
      ? other('path', path, (changed) => ({ path: changed + withQuery }))
      : []),
    ...(query !== undefined && covers('@query', '@request-target')
      ? other('query', query, (changed) => ({ path: `${path}?${changed}` }))
      : []),
    ...Object.entries(headers).flatMap(([name, value]) => {
      const [first = '', ...others] = [value].flat();
      return other('field', first, (changed) => ({ headers: { [name]: [changed, ...others] } }));
    }),
  ];
}

/** With another byte in the bytes of the signature. */
function otherSignature(sent: SentSignature, { place, byte }: ByteChange): SentSignature {
  const [, label = '', text = ''] = /^(\w+)=:(.*):$/.exec(sent.signature) ?? [];
  const bytes = Buffer.from(text, 'base64');
  const index = place % bytes.length;
  bytes[index] = (bytes[index] ?? 0) ^ (byte || 1);
  return { ...sent, signature: `${label}=${byteSequence(bytes)}` };
}

const withoutPython = await unmet([PYTHON, OPENSSL], 'that sign_request.py signs what we verify');

const SIGNER_KINDS: readonly [name: string, start: () => IndependentSigner, missing: string][] = [
  ['http-message-signatures', createLibrarySigner, ''],
  ['sign_request.py, in Python', startPythonSigner, withoutPython],
];

for (const [name, start, missing] of SIGNER_KINDS) {
  describe.skipIf(missing !== '')(`${name}${missing}`, () => {
    let signer: IndependentSigner;
    beforeAll(() => {
      signer = start();
    });
    afterAll(() => signer.stop());

    it('signs what we verify, and refuse with any other byte in what is covered, or in the signature', async () => {
      let refused = 0;
      await fc.assert(
        fc.asyncProperty(EXAMPLE, BYTE_CHANGE, async (example, change) => {
          const sent = await signer.sign(example);
          expect(decideExample(example, sent)).toBe('verified');
          for (const changed of changesOf(example, change)) {
            expect(decideExample(example, sent, changed)).toMatch(/^invalid_message_signature: /);
            refused++;
          }
          expect(decideExample(example, otherSignature(sent, change))).toBe(
            'invalid_message_signature: not_verified',
          );
        }),
        { numRuns: RUNS },
      );
      expect(refused).toBeGreaterThan(RUNS);
    });
  });
}

describe.skipIf(withoutPython !== '')(`both implementations${withoutPython}`, () => {
  it('make the same signature with an account key', async () => {
    const [library, python] = [createLibrarySigner(), startPythonSigner()];
    onTestFinished(() => python.stop());
    await fc.assert(
      fc.asyncProperty(EXAMPLE, async (any) => {
        const example = { ...any, label: 'account' as const };
        expect(await python.sign(example)).toEqual(await library.sign(example));
      }),
      { numRuns: RUNS },
    );
  });
});

describe('http-message-signatures', () => {
  it('verifies what our signature base signs', async () => {
    await fc.assert(
      fc.asyncProperty(EXAMPLE, async (example) => {
        const { label, method, authority, headers } = example;
        const components = componentsOf(example).map((name) => `"${name}"`);
        const input = `${label}=(${components.join(' ')})${parametersOf(example)}`;
        const parsed = parseDictionary(input, { bytes: 4096, members: 1 });
        const member = parsed.kind === 'dictionary' ? parsed.members.get(label) : undefined;
        const ours = member && parseSignatureInput(member);
        const request = signedRequest({ method, authority, path: pathOf(example), headers });
        const [base] = ours?.kind === 'input' ? signatureBases(ours.input, request) : [];
        const signature = `${label}=${byteSequence(SIGNERS[label](base?.text ?? ''))}`;
        const isValid = await httpbis.verifyMessage(
          {
            keyLookup: async () => ({ algs: [ALGORITHMS[label]], verify: VERIFIERS[label] }),
            notAfter: new Date((CREATED + 60) * 1000),
            tolerance: 1_000_000_000,
          },
          libraryRequest(example, { signature, 'signature-input': input }),
        );
        expect(isValid).toBe(true);
        expect(decideExample(example, { signature, 'signature-input': input })).toBe('verified');
      }),
      { numRuns: RUNS },
    );
  });
});
