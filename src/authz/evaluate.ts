/** Evaluates a check request: selects its policies, decrypts its token if it has to, and decides. */
import type { CompactToken } from '../approov/compact-token.ts';
import { type DecryptionKey, type DecryptionResult, decryptToken } from '../approov/encrypted-token.ts';
import type { CheckRequest } from './check-request.ts';
import { type Decision, decide } from './decide.ts';
import { choosePolicies, type PolicyChoice, type PolicyTable } from './policy.ts';
import { createTokenReader, type TokenReader } from './token-header.ts';
import type { TokenVerifier } from './token-verifier.ts';

export interface EvaluationRules {
  readonly policyTable: PolicyTable;
  readonly verifier: TokenVerifier;
}

type Decrypt = (token: CompactToken, keys: readonly DecryptionKey[]) => Promise<DecryptionResult>;

/**
 * Decides a request: at once, unless a token has to be decrypted.
 * @param nowSeconds since the epoch, fractions allowed; read again after a decryption.
 */
export function evaluate(
  request: CheckRequest,
  { policyTable, verifier }: EvaluationRules,
  nowSeconds: () => number,
  decrypt: Decrypt = decryptToken,
): Decision | Promise<Decision> {
  const now = nowSeconds();
  // Once per check: the sender chooses the length of path and host.
  const choice = choosePolicies(request, policyTable);
  const readToken = createTokenReader(request, choice.policies);
  const token = tokenToDecrypt(choice, readToken, verifier, now);
  if (token === undefined) return decide(request, choice, verifier.forCheck(now), now, readToken);
  return decrypt(token, verifier.keys.decryptionKeys).then((result) => {
    const later = nowSeconds();
    return decide(request, choice, verifier.forCheck(later, { token, result }), later, readToken);
  });
}

/**
 * The first token that has to be decrypted. A check decrypts only one; any other encrypted token in the request is
 * rejected.
 */
function tokenToDecrypt(
  { policies, host = '' }: PolicyChoice,
  readToken: TokenReader,
  verifier: TokenVerifier,
  now: number,
): CompactToken | undefined {
  if (verifier.keys.decryptionKeys.length === 0) return undefined;
  for (const policy of policies) {
    const presented = policy.mode === 'off' ? undefined : readToken(policy);
    if (presented?.kind === 'token' && verifier.needsDecryption(presented.token, host, now)) {
      return presented.token;
    }
  }
  return undefined;
}
