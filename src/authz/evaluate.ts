/** Evaluates a check request: selects its policies, decrypts its token if it has to, decides, and refuses replays. */
import type { CompactToken } from '../approov/compact-token.ts';
import { type DecryptionKey, type DecryptionResult, decryptToken } from '../approov/encrypted-token.ts';
import { checkReplay, NO_REPLAY_GUARD, refusesReplays } from './check-replay.ts';
import type { CheckRequest } from './check-request.ts';
import { type Decision, decide } from './decide.ts';
import { choosePolicies, type PolicyChoice, type PolicyTable } from './policy.ts';
import type { ReplayGuard } from './replay.ts';
import type { StepsResult } from './steps.ts';
import { createTokenReader, type TokenReader } from './token-header.ts';
import type { Decryption, TokenVerifier } from './token-verifier.ts';

export interface EvaluationRules {
  readonly policyTable: PolicyTable;
  readonly verifier: TokenVerifier;
}

type Decrypt = (token: CompactToken, keys: readonly DecryptionKey[]) => Promise<DecryptionResult>;

/** What a decision may have to wait for. */
interface EvaluationServices {
  readonly decrypt?: Decrypt | undefined;
  /** Without one, a request that must not be a replay is `internal_error`. */
  readonly replayGuard?: ReplayGuard | undefined;
}

/**
 * Decides a request: immediately, unless a token has to be decrypted, or a signature recorded elsewhere.
 * @param nowSeconds since the epoch, fractions allowed; read again after a decryption.
 */
export function evaluate(
  request: CheckRequest,
  { policyTable, verifier }: EvaluationRules,
  nowSeconds: () => number,
  { decrypt = decryptToken, replayGuard = NO_REPLAY_GUARD }: EvaluationServices = {},
): Decision | Promise<Decision> {
  const now = nowSeconds();
  // Once per check: the sender chooses the length of path and host.
  const choice = choosePolicies(request, policyTable);
  const readToken = createTokenReader(request, choice.policies);
  const decideAt = (seconds: number, decryption?: Decryption): Decision | Promise<Decision> => {
    const check = verifier.forCheck(seconds, decryption);
    if (!choice.policies.some(refusesReplays)) return decide(request, choice, check, seconds, readToken);
    const passed: StepsResult[] = [];
    const decision = decide(request, choice, check, seconds, readToken, (result) => passed.push(result));
    return checkReplay(decision, passed, replayGuard);
  };
  const token = tokenToDecrypt(choice, readToken, verifier, now);
  if (token === undefined) return decideAt(now);
  return decrypt(token, verifier.keys.decryptionKeys).then((result) =>
    decideAt(nowSeconds(), { token, result }),
  );
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
