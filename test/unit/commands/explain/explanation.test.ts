/** Tests that every request can be explained, whatever it contains. */
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { evaluate } from '../../../../src/authz/evaluate.ts';
import { TokenVerifier } from '../../../../src/authz/token-verifier.ts';
import { explainDecision } from '../../../../src/commands/explain/explanation.ts';
import { formatExplanation } from '../../../../src/commands/explain/layout.ts';
import { checkRequest, KEYSET, NOW, policy, policyTable, route } from '../../../support/check.ts';
import { CLAIMS as SIGNING_CLAIMS } from '../../../support/message-signature.ts';
import { signaturePolicy } from '../../../support/signed-check.ts';
import { base64url, mintToken, OTHER_SECRET_BYTES } from '../../../support/token.ts';

const BOUND = policy({
  name: 'bound',
  issuer: ['acme'],
  audience: 'host',
  binding: { headers: ['authorization', 'x-session'], when: 'if-present' },
  messageSignature: signaturePolicy(),
});
const TABLE = policyTable(policy(), [
  route(BOUND, { host: 'api.example.com', pathPrefix: '/v2' }),
  route(policy({ name: 'limit', mode: 'limit' }), { methods: ['PUT'] }),
]);
const VERIFIER = new TokenVerifier({
  keyset: KEYSET,
  decryptionKeys: [],
  messageSigningKeys: [],
  tokenCacheEntries: 0,
});

const text = fc.string({ unit: 'binary', maxLength: 60 });
const value = fc.oneof(text, fc.jsonValue(), fc.constantFrom(NOW, 1e300, NOW + 9.5, '', null));
const claims = fc.record(
  { exp: value, nbf: value, iat: value, iss: value, aud: value, pay: value, arc: value, __proto__: value },
  { requiredKeys: [] },
);
const validClaims = fc.record({ pay: value, nbf: fc.constant(NOW - 1) }).map((more) => ({
  exp: NOW + 9,
  iss: 'acme',
  aud: 'api.example.com',
  ...more,
}));
const header = fc.record({ alg: value, kid: value, crit: value, typ: value }, { requiredKeys: [] });
const token = fc.oneof(
  text,
  validClaims.map((all) => mintToken(all)),
  validClaims.map(({ pay: _, ...all }) => mintToken({ ...all, ...SIGNING_CLAIMS })),
  claims.map((all) => mintToken(all)),
  claims.map((all) => mintToken(all, { secret: OTHER_SECRET_BYTES })),
  fc.tuple(header, claims).map(([head, all]) => mintToken(all, { header: head })),
  fc.array(fc.json().map(base64url), { minLength: 1, maxLength: 6 }).map((parts) => parts.join('.')),
  fc.tuple(text, claims).map(([before, all]) => `${before}${mintToken(all)}`),
);
const signatureInput = fc
  .tuple(
    fc.subarray(['"@method"', '"@path"', '"@target-uri"', '"approov-token"', '"x-\\u00e9"', '"cookie"']),
    fc.constantFrom(`;created=${NOW}`, `;created=${NOW + 999};expires=1`, ';created=1;alg="x"', ''),
  )
  .map(([components, parameters]) => `install=(${components.join(' ')})${parameters}`);
const request = fc.record({
  method: fc.constantFrom('GET', 'PUT', 'OPTIONS'),
  path: fc.oneof(fc.constantFrom('/', '/v2/x', '/v2/..;/x'), text),
  host: fc.oneof(fc.constantFrom('api.example.com', ''), text),
  policyName: fc.constantFrom(undefined, 'bound', 'bond', ''),
  headers: fc.record(
    {
      'approov-token': fc.oneof(token, fc.array(token, { maxLength: 2 })),
      'approov-status': text,
      'signature-input': fc.oneof(signatureInput, text),
      signature: fc.oneof(fc.constantFrom(`install=:${'A'.repeat(86)}==:`, 'install=:QQ==:'), text),
      'signature-base-digest': fc.oneof(fc.constantFrom('install=:QQ==:'), text),
      authorization: fc.oneof(text, fc.array(text, { maxLength: 2 })),
      'x-session': text,
      cookie: text,
    },
    { requiredKeys: [] },
  ),
});

describe('the explanation of any request', () => {
  it('has a sentence for each step reached, and lines that fit a terminal and are safe to print', async () => {
    await fc.assert(
      fc.asyncProperty(request, async (fields) => {
        const subject = { request: checkRequest(fields), policyTable: TABLE, verifier: VERIFIER };
        const decision = await evaluate(subject.request, subject, () => NOW);
        const explanation = explainDecision({ ...subject, decision, isTimeGiven: false });
        expect(explanation.steps.at(-1)?.step).toBe(decision.step ?? 'message_signature');
        for (const { text: sentences, step } of explanation.steps) expect(sentences, step).not.toEqual([]);
        for (const line of formatExplanation(explanation, false)) {
          expect(line).toMatch(/^.{0,80}$/);
          expect(line).not.toMatch(/[\p{Cc}\p{Cf}\p{Zl}\p{Zp}]|(?<!`)undefined|NaN|\[object/u);
        }
      }),
      { numRuns: 300 },
    );
  });
});
