/** Tests how message signatures are verified in a check: shared effort, and keys that a reload keeps. */
import { describe, expect, it } from 'vitest';
import { decide } from '../../../src/authz/decide.ts';
import { signedRequestOf } from '../../../src/authz/message-signature.ts';
import { choosePolicies, type Policy } from '../../../src/authz/policy.ts';
import { TokenVerifier, type VerificationKeys } from '../../../src/authz/token-verifier.ts';
import { checkRequest, KEYSET, NOW, policy, policyTable, route, verifiedToken } from '../../support/check.ts';
import { generateKeyPair } from '../../support/key-pair.ts';
import { CLAIMS, ipkOf } from '../../support/message-signature.ts';
import { MESSAGE_SIGNING_KEYS, signaturePolicy, signHeaders } from '../../support/signed-check.ts';
import { mintToken } from '../../support/token.ts';

const KEYS: VerificationKeys = {
  keyset: KEYSET,
  decryptionKeys: [],
  messageSigningKeys: MESSAGE_SIGNING_KEYS,
  tokenCacheEntries: 10,
};

describe('the key of an installation', () => {
  it('stays imported when keys of tokens and accounts are replaced', () => {
    const before = new TokenVerifier(KEYS);
    const next = new TokenVerifier(
      { ...KEYS, keyset: { keys: [], missing: [] }, messageSigningKeys: [] },
      {},
      before,
    );
    const [first, second] = [before, next].map((verifier) => {
      const section = signaturePolicy();
      const request = signedRequestOf(checkRequest({ headers: signHeaders() }), section);
      const result = verifier.forCheck(NOW).verifyMessage(request, section, verifiedToken(CLAIMS));
      return result.kind === 'verified' ? result.signatures[0].key : result.kind;
    });
    expect(second).toBe(first);
    expect(first).toHaveProperty('identity');
  });
});

describe('the key of an account', () => {
  it('verifies nothing once it is removed', () => {
    const before = new TokenVerifier(KEYS);
    const next = new TokenVerifier({ ...KEYS, messageSigningKeys: [] }, {}, before);
    const outcomes = [before, next].map((verifier) => {
      const section = signaturePolicy({ install: 'off', account: 'when-mskid' });
      const request = signedRequestOf(
        checkRequest({ headers: signHeaders({ labels: ['account'] }) }),
        section,
      );
      return verifier.forCheck(NOW).verifyMessage(request, section, verifiedToken(CLAIMS));
    });
    expect(outcomes).toMatchObject([{ kind: 'verified' }, { failure: { signature: { problem: 'no_key' } } }]);
  });
});

describe('a request that many policies judge', () => {
  const path = '/;x';

  /** One policy per section, for routes that an ambiguous path might match. */
  function decideUnder(sections: readonly ReturnType<typeof signaturePolicy>[]): string {
    const policies = sections.map(
      (messageSignature, index): Policy => policy({ name: `p${index}`, messageSignature }),
    );
    const table = policyTable(
      policy({ mode: 'off' }),
      policies.map((each) => route(each, { pathPrefix: `/${each.name}` })),
    );
    const request = checkRequest({ path, headers: signHeaders({ path }) });
    const verifier = new TokenVerifier(KEYS).forCheck(NOW);
    return decide(request, choosePolicies(request, table), verifier, NOW).reason;
  }

  it('is verified once where they ask for the same', () => {
    expect(decideUnder(Array.from({ length: 20 }, () => signaturePolicy()))).toBe('policy_off');
  });

  it('is verified with the token that each of them reads', () => {
    const messageSignature = signaturePolicy({ requiredComponents: ['@method'] });
    const other = policy({ name: 'other', tokenHeader: 'x-token', messageSignature });
    const table = policyTable(policy({ messageSignature }), [route(other, { pathPrefix: '/other' })]);
    const stolen = mintToken({
      exp: NOW + 300,
      ipk: ipkOf(generateKeyPair('ec', { namedCurve: 'P-256' }).publicKey),
    });
    const headers = { ...signHeaders({ path }), 'x-token': stolen };
    const request = checkRequest({ path, headers });
    const verifier = new TokenVerifier(KEYS).forCheck(NOW);
    const decision = decide(request, choosePolicies(request, table), verifier, NOW);
    expect(decision).toMatchObject({ reason: 'invalid_message_signature', policy: { name: 'other' } });
  });

  it('has 8 public-key verifications for all of them together', () => {
    const sections = Array.from({ length: 9 }, (_, index) => signaturePolicy({ maxAgeSeconds: 300 + index }));
    expect(decideUnder(sections.slice(1))).toBe('policy_off');
    expect(decideUnder(sections)).toBe('internal_error');
  });
});
