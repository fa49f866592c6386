/** Describes the readiness of a check server: what `/readyz` shows, and gRPC health follows. */
import type { Readiness } from '../admin/admin-server.ts';
import { formatProblem } from '../config/config.ts';
import { printableName } from '../config/shape-problems.ts';
import type { StoreGuard } from '../replay/replay-guard.ts';
import type { ConfigStore } from '../sources/config-store.ts';
import type { KeyStore } from '../sources/key-store.ts';

export type Phase = 'starting' | 'serving' | 'draining';

/** Ready while it serves and at least one key is loaded. */
export function describeReadiness(
  phase: Phase,
  keyStore: Pick<KeyStore, 'keyset' | 'problems'>,
  configStore: ConfigStore,
  replayGuard: Pick<StoreGuard, 'storeState'>,
): Readiness {
  const replayStore = replayGuard.storeState();
  const { keys, missing } = keyStore.keyset();
  return {
    isReady: phase === 'serving' && keys.length > 0,
    components: {
      process: phase,
      keys: {
        loaded: keys.map(({ id, kid, fingerprint, secret }) => ({
          id,
          // Configured, and perhaps the secret itself in the wrong place; that of a public key is not.
          kid: secret === undefined ? kid : kid && printableName(kid),
          fingerprint,
        })),
        missing: missing.map(({ id }) => id),
      },
      files: fileStates(configStore),
      urls: Object.fromEntries(keyStore.problems()),
      // Does not change the readiness: `onError` decides what a check without the store is.
      ...(replayStore === undefined ? {} : { replay_store: replayStore }),
    },
  };
}

/** `ok`, or what is wrong with the files of a source while it serves its last good state. */
export function fileStates(configStore: ConfigStore): Readonly<Record<string, 'ok' | readonly string[]>> {
  return Object.fromEntries(
    Array.from(configStore.currentProblems(), ([source, problems]) => [
      source,
      problems.length === 0 ? 'ok' : problems.map(formatProblem),
    ]),
  );
}
