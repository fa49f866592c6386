/** Tests that the signature base that `explain` shows has no credentials, whatever the app signed. */
import { expect, it } from 'vitest';
import { evaluate } from '../../../../src/authz/evaluate.ts';
import { TokenVerifier } from '../../../../src/authz/token-verifier.ts';
import { explainDecision } from '../../../../src/commands/explain/explanation.ts';
import { formatExplanation } from '../../../../src/commands/explain/layout.ts';
import { checkRequest, KEYSET, policy, policyTable } from '../../../support/check.ts';
import { CREATED } from '../../../support/message-signature.ts';
import { SIGNED_TOKEN, signaturePolicy, signHeaders } from '../../../support/signed-check.ts';

const VERIFIER = new TokenVerifier({
  keyset: KEYSET,
  decryptionKeys: [],
  messageSigningKeys: [],
  tokenCacheEntries: 0,
});
const TABLE = policyTable(
  policy({
    tokenHeader: 'x-token',
    binding: { headers: ['x-session'], when: 'if-present' },
    messageSignature: signaturePolicy({ tokenHeader: 'x-token', requiredComponents: ['@method'] }),
  }),
);

/** Explains a request whose signature covers a header. */
async function explainSigned(name: string, value: string) {
  const headers = { ...signHeaders({ token: 'a', headers: { [name]: value } }) };
  const request = checkRequest({ host: 'api.example.com', headers: { 'x-token': SIGNED_TOKEN, ...headers } });
  const subject = { request, policyTable: TABLE, verifier: VERIFIER };
  const decision = await evaluate(request, subject, () => CREATED);
  const explanation = explainDecision({ ...subject, decision, isTimeGiven: false });
  return `${formatExplanation(explanation, false).join('\n')}\n${JSON.stringify(explanation)}`;
}

it.each(['authorization', 'proxy-authorization', 'cookie', 'x-session', 'x-token'])(
  'the value of %s is hidden',
  async (name) => {
    const value = name === 'x-token' ? SIGNED_TOKEN : 'planted, with "quotes": and \u00e9';
    const shown = await explainSigned(name, value);
    expect(shown).toMatch(new RegExp(`"${name}": \\[hidden: \\d+ characters, SHA-256 [0-9a-f]{12}…\\]`));
    expect(shown).not.toContain(name === 'x-token' ? SIGNED_TOKEN.split('.')[2] : 'planted');
  },
);

it('the value of any other header is shown, to be compared with what the app signed', async () => {
  expect(await explainSigned('x-device', 'planted')).toContain('"x-device": planted');
});
