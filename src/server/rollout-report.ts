/** Collects what the rollout report needs of a running service. */
import { hostname } from 'node:os';
import type { ActiveOverride } from '../admin/override-page.ts';
import { RELOAD_SOURCES } from '../config/config.ts';
import { type OverriddenModes, overrideModes } from '../config/override-modes.ts';
import { buildReport, type FailingReload, type KeyUse, type RolloutReport } from '../rollout/report.ts';
import type { RolloutSnapshot } from '../rollout/snapshot.ts';
import type { ConfigStore } from '../sources/config-store.ts';
import type { LoadedConfig } from '../sources/loaded-config.ts';
import { labelsOf, parseExposition, type Sample, sumOf } from '../telemetry/exposition.ts';
import { KEY_LAST_USED } from '../telemetry/key-metrics.ts';
import { escapeAll } from '../telemetry/printable.ts';
import { VERSION } from '../version.ts';
import { fileStates } from './describe-readiness.ts';

/** What the report is built from, whether one process answers checks or several workers do. */
export interface RolloutSources {
  readonly configStore: ConfigStore;
  readonly nowSeconds: () => number;
  /** Workers report their metrics and their snapshots together. */
  readonly metricsText: () => Promise<string>;
  readonly snapshot: () => RolloutSnapshot;
  /** What is wrong with the URLs of keys, by key id. */
  readonly urlProblems: () => Readonly<Record<string, string>>;
  /** How many processes answer checks. */
  readonly processes: number;
  readonly overrides: () => readonly ActiveOverride[];
}

export async function reportRollout(sources: RolloutSources): Promise<RolloutReport> {
  const { configStore, nowSeconds, metricsText, snapshot, processes, overrides } = sources;
  const samples = parseExposition(await metricsText());
  const { policyTable, settings } = configStore.current().config;
  return buildReport({
    version: VERSION,
    nowSeconds: nowSeconds(),
    snapshot: snapshot(),
    policyTable,
    settings: settings.rollout,
    covers: {
      instance: hostname(),
      processes,
      worker_restarts: sumOf(samples, 'approov_worker_restarts_total'),
    },
    keys: keysOf(samples),
    failingReloads: escapeAll(failingReloads(sources)) as readonly FailingReload[],
    overrides: new Map(
      overrides().map(({ policy, mode, started_at: since, ends_at: until, reason }) => [
        policy,
        { mode, since, until, reason },
      ]),
    ),
  });
}

/** The policies whose checks are judged: all but those that are off, which an override changes. */
export function judgedPolicies(
  { policyTable }: Pick<LoadedConfig['config'], 'policyTable'>,
  modes: OverriddenModes,
): readonly string[] {
  const { policies } = overrideModes(policyTable, modes);
  return [...policies.values()].filter(({ mode }) => mode !== 'off').map(({ name }) => name);
}

function keysOf(samples: readonly Sample[]): readonly KeyUse[] {
  return labelsOf(samples, KEY_LAST_USED).map(({ key_id: id = '' }) => {
    const lastUsed = sumOf(samples, KEY_LAST_USED, { key_id: id });
    return {
      id,
      verifications: sumOf(samples, 'approov_key_verifications_total', { key_id: id }),
      last_used_at: lastUsed === 0 ? null : new Date(lastUsed * 1000).toISOString(),
    };
  });
}

function failingReloads({ configStore, urlProblems }: RolloutSources): readonly FailingReload[] {
  const files = fileStates(configStore);
  const urls = Object.entries(urlProblems()).map(([id, problem]) => `key ${id}: ${problem}`);
  return RELOAD_SOURCES.map((source) => {
    const state = files[source] ?? 'ok';
    return {
      source,
      problems: [...(state === 'ok' ? [] : state), ...(source === 'jwks' ? urls : [])],
    };
  }).filter(({ problems }) => problems.length > 0);
}
