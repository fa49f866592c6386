/** Applies a reload to a running check server: each part that changed is replaced, and no other. */
import { isDeepStrictEqual } from 'node:util';
import type { Checker, CheckRules } from '../checker.ts';
import { formatProblem, type Problem } from '../config/config.ts';
import { type OverriddenModes, overrideModes } from '../config/override-modes.ts';
import type { Settings } from '../config/schema.ts';
import type { TlsMaterial } from '../net/tls-material.ts';
import type { RolloutRecorder } from '../rollout/recorder.ts';
import type { KeyStore } from '../sources/key-store.ts';
import { type LoadedConfig, otherKeyWarnings } from '../sources/loaded-config.ts';
import type { Log } from '../telemetry/log.ts';
import type { Metrics } from '../telemetry/metrics.ts';
import { keyChanges } from './describe-config.ts';

export interface ReloadTargets {
  readonly keyStore: Pick<KeyStore, 'keyset' | 'replaceKeys' | 'warnings'>;
  readonly checker: Pick<Checker, 'replaceRules'>;
  readonly log: Pick<Log, 'configure' | 'info' | 'warn'>;
  readonly metrics: Pick<Metrics, 'configured'>;
  readonly rollout: Pick<RolloutRecorder, 'configure'>;
  /** Since the epoch. */
  readonly nowSeconds: () => number;
  readonly useTls: (tls: TlsMaterial) => void;
  readonly useReplayStore: (store: LoadedConfig['replayStore']) => void;
  /** Those of overrides. */
  readonly overriddenModes: () => OverriddenModes;
}

export interface Reloader {
  /** Replaces the parts in which `next` differs from the configuration so far. */
  apply(next: LoadedConfig): void;
  /** Uses keys that were fetched from a URL. */
  useFetchedKeys(): void;
  /** Uses the modes of overrides, which have changed. */
  useOverrides(): void;
}

/** @param start the configuration that the targets were created with. */
export function createReloader(start: LoadedConfig, targets: ReloadTargets): Reloader {
  const { keyStore, checker, log, metrics, rollout, nowSeconds, useTls, useReplayStore, overriddenModes } =
    targets;
  const warnAboutKeys = createKeyWarnings(log);
  const bound = boundSettings(start.config.settings);
  let current = start;
  let { tls } = start;
  let { keys } = keyStore.keyset();

  function useKeys(): void {
    ({ keys } = keyStore.keyset());
    warnAboutKeys([...keyStore.warnings(), ...otherKeyWarnings(current)]);
    useRules();
  }

  function useRules(): void {
    checker.replaceRules(rulesOf(current, keyStore, overriddenModes()));
  }

  function exposeSeries(): void {
    metrics.configured(overrideModes(current.config.policyTable, overriddenModes()), keyIds(current));
  }

  function replaceTls(next: TlsMaterial | undefined): void {
    const renewed = renewTls(tls, next);
    if (renewed === undefined || isDeepStrictEqual(renewed, tls)) return;
    tls = renewed;
    useTls(renewed);
  }

  function warnAboutRestart(before: Settings, next: Settings): void {
    const last = boundSettings(before);
    for (const [field, value] of Object.entries(boundSettings(next))) {
      if (!isDeepStrictEqual(value, bound[field]) && !isDeepStrictEqual(value, last[field]))
        log.warn({ field }, 'setting changed; restart required');
    }
  }

  exposeSeries();
  rollout.configure(start.config.policyTable, start.config.settings.rollout.appVersion, nowSeconds());
  warnAboutKeys([...keyStore.warnings(), ...otherKeyWarnings(start)]);
  return {
    apply(next) {
      const before = current;
      current = next;
      const hasNewKeys =
        next.keys !== before.keys ||
        next.decryptionKeys !== before.decryptionKeys ||
        next.messageSigningKeys !== before.messageSigningKeys;
      if (next.keys !== before.keys) keyStore.replaceKeys(next.keys);
      if (hasNewKeys) useKeys();
      else if (hasNewRules(before, next)) useRules();
      const { policyTable, settings } = next.config;
      const hasNewPolicies = policyTable !== before.config.policyTable;
      if (hasNewKeys || hasNewPolicies) exposeSeries();
      if (hasNewPolicies || !isDeepStrictEqual(settings.rollout, before.config.settings.rollout))
        rollout.configure(policyTable, settings.rollout.appVersion, nowSeconds());
      if (hasNewPolicies || !isDeepStrictEqual(settings.log, before.config.settings.log))
        log.configure(policyTable, settings.log);
      warnAboutRestart(before.config.settings, settings);
      if (next.tls !== before.tls) replaceTls(next.tls);
      if (next.replayStore !== before.replayStore) useReplayStore(next.replayStore);
    },
    useFetchedKeys() {
      const before = keys;
      useKeys();
      log.info({ changes: keyChanges(before, keys) }, 'JWKS loaded');
    },
    useOverrides() {
      useRules();
      exposeSeries();
    },
  };
}

/** What is bound or allocated when the process starts. Certificates are not: they are reloaded. */
function boundSettings(settings: Settings): Readonly<Record<string, unknown>> {
  const { listen, connection, limits, workers, log } = settings;
  const tls = listen.tls && { hasClientCa: listen.tls.clientCaFile !== undefined };
  return { listen: { ...listen, tls }, connection, limits, workers, 'log.format': log.format };
}

/** Logs each warning once, and again if it disappears and returns. */
function createKeyWarnings(log: Pick<Log, 'warn'>): (problems: readonly Problem[]) => void {
  let logged: readonly string[] = [];
  return (problems) => {
    const warnings = problems.map(formatProblem);
    for (const warning of warnings) if (!logged.includes(warning)) log.warn({ warning }, 'key warning');
    logged = warnings;
  };
}

export function rulesOf(
  { config, decryptionKeys, messageSigningKeys }: LoadedConfig,
  keyStore: Pick<KeyStore, 'keyset'>,
  overriddenModes: OverriddenModes,
): CheckRules {
  return {
    policyTable: overrideModes(config.policyTable, overriddenModes),
    keyset: keyStore.keyset(),
    decryptionKeys,
    messageSigningKeys,
    denied: config.settings.denied,
    tokenCacheEntries: config.settings.tokenCache.maxEntries,
    observedHeaders: observedHeadersOf(config),
  };
}

function observedHeadersOf({ settings: { rollout } }: LoadedConfig['config']): readonly string[] {
  const { appVersion } = rollout;
  return appVersion === undefined ? [] : [appVersion.header];
}

/** Whether anything but the keys changed in what {@link rulesOf} returns. */
function hasNewRules({ config: before }: LoadedConfig, { config: next }: LoadedConfig): boolean {
  return (
    next.policyTable !== before.policyTable ||
    !isDeepStrictEqual(next.settings.denied, before.settings.denied) ||
    next.settings.tokenCache.maxEntries !== before.settings.tokenCache.maxEntries ||
    !isDeepStrictEqual(observedHeadersOf(next), observedHeadersOf(before))
  );
}

/** Whether TLS is used, and whether clients must present a certificate, is bound at start: a reload keeps both. */
function renewTls(bound: TlsMaterial | undefined, next: TlsMaterial | undefined): TlsMaterial | undefined {
  if (bound === undefined || next === undefined) return bound;
  return { ...next, clientCa: bound.clientCa && (next.clientCa ?? bound.clientCa) };
}

function keyIds({ config }: LoadedConfig): readonly string[] {
  const { keys, decryptionKeys, messageSigningKeys } = config;
  return [...keys, ...decryptionKeys.filter((key) => !key.isNested), ...messageSigningKeys].map(
    ({ id }) => id,
  );
}
