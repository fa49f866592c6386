/** Warns about a policy that checks no message signatures, though apps could sign: their tokens name a key. */
import type { CheckObserver } from './check-observer.ts';
import type { Log } from './log.ts';

/** Once for each policy. */
export function createSigningHint(log: Pick<Log, 'warn'>): CheckObserver {
  const warned = new Set<string>();
  return {
    checkDone({ decision: { policy, verifiedToken } }) {
      if (verifiedToken?.claims['ipk'] === undefined || policy?.messageSignature !== null) return;
      if (warned.has(policy.name)) return;
      warned.add(policy.name);
      log.warn(
        { policy: policy.name },
        'tokens have ipk, so apps can sign; without messageSignature, a stolen token is accepted',
      );
    },
  };
}
