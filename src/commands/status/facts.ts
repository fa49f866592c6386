/** Collects what `status` shows from the admin pages of a running service. */
import * as z from 'zod';
import type { Problem } from '../../config/config.ts';
import { readYaml } from '../../config/yaml.ts';
import { labelsOf, parseExposition, type Sample, sumOf } from '../../telemetry/exposition.ts';
import {
  CHECKS,
  type OverrideStatus,
  overridesOf,
  type PolicyStatus,
  policiesOf,
  type Verdicts,
  verdictsOf,
} from './policies.ts';

/** The bodies of the admin pages. */
export interface AdminPages {
  readonly metrics: string;
  readonly readyz: string;
  /** Anything but a configuration: it is not shown to this client. */
  readonly config: string;
  /** Anything but overrides, likewise. */
  readonly overrides: string;
}

/** As printed by `--json`. */
export interface Status {
  readonly version: string;
  readonly node: string | null;
  readonly started_at: string | null;
  readonly uptime_seconds: number | null;
  readonly ready: boolean;
  /** `starting`, `serving` or `draining`; `null` if no worker runs. */
  readonly process: string | null;
  /** State by process id; empty for a service of one process. */
  readonly workers: Readonly<Record<string, string>>;
  readonly worker_restarts: number;
  /** `null`: `/config` is not shown to this client. */
  readonly listener: Listener | null;
  readonly default_policy: string | null;
  readonly policies: readonly PolicyStatus[];
  /** Those active now. */
  readonly overrides: readonly OverrideStatus[];
  readonly keys: readonly KeyStatus[];
  readonly checks: ChecksStatus;
  readonly reloads: readonly ReloadStatus[];
}

interface Listener {
  readonly grpc: string;
  readonly tls: boolean;
  /** Of the certificate that it presents; `null` without TLS, or if it cannot be read. */
  readonly certificate_expires_at: string | null;
}

export interface KeyStatus {
  readonly id: string;
  readonly loaded: boolean;
  /** Several for a JWK Set. */
  readonly fingerprints: readonly string[];
  readonly verifications: number;
  /** `null`: not since the start. */
  readonly last_used_at: string | null;
}

export interface ChecksStatus extends Verdicts {
  readonly total: number;
  readonly in_flight: number;
  /** Of unverified checks, the most frequent first. */
  readonly reasons: Readonly<Record<string, number>>;
  readonly actions: Readonly<Record<'allow' | 'limit' | 'deny', number>>;
}

export interface ReloadStatus {
  readonly source: string;
  /** `null`: never. */
  readonly last_success_at: string | null;
  readonly successes: number;
  readonly failures: number;
  /** Why the last good state is in use. */
  readonly problems: readonly string[];
}

const READYZ = z.object({
  status: z.string(),
  components: z.object({
    process: z.string().optional(),
    keys: z
      .object({
        loaded: z.array(z.object({ id: z.string(), fingerprint: z.string() })),
        missing: z.array(z.string()),
      })
      .prefault({ loaded: [], missing: [] }),
    files: z.record(z.string(), z.union([z.string(), z.array(z.string())])).default({}),
    urls: z.record(z.string(), z.string()).default({}),
    workers: z.record(z.string(), z.string()).default({}),
  }),
});
type Components = z.infer<typeof READYZ>['components'];

/** Those that `/readyz` does not list. */
const KEYS = z.array(z.object({ id: z.string(), fingerprint: z.string().optional() })).default([]);

const CONFIG = z.object({
  defaultPolicy: z.string(),
  listen: z.object({ grpc: z.string(), tls: z.object({}).optional() }),
  decryptionKeys: KEYS,
  messageSigningKeys: KEYS,
});

/** `undefined` if the pages are not those of this service. */
export function collectStatus(pages: AdminPages, nowSeconds: number): Status | undefined {
  const samples = parseExposition(pages.metrics);
  const version = labelsOf(samples, 'approov_build_info')[0]?.['version'];
  const readyz = READYZ.safeParse(parseJson(pages.readyz)).data;
  if (version === undefined || readyz === undefined) return undefined;
  const { components } = readyz;
  const config = readConfig(pages.config);
  const startSeconds = sumOf(samples, 'process_start_time_seconds');
  return {
    version,
    node: labelsOf(samples, 'nodejs_version_info')[0]?.['version']?.replace(/^v/, '') ?? null,
    started_at: isoTime(startSeconds),
    uptime_seconds: startSeconds === 0 ? null : Math.max(0, Math.round(nowSeconds - startSeconds)),
    ready: readyz.status === 'ready',
    process: components.process ?? null,
    workers: components.workers,
    worker_restarts: sumOf(samples, 'approov_worker_restarts_total'),
    listener: config === undefined ? null : listenerOf(config.listen),
    default_policy: config?.defaultPolicy ?? null,
    policies: policiesOf(samples),
    overrides: overridesOf(samples, parseJson(pages.overrides)),
    keys: keysOf(samples, components, [
      ...(config?.decryptionKeys ?? []),
      ...(config?.messageSigningKeys ?? []),
    ]),
    checks: checksOf(samples),
    reloads: reloadsOf(samples, components),
  };
}

/** Its certificate is read from a connection. */
function listenerOf({ grpc, tls }: z.infer<typeof CONFIG>['listen']): Listener {
  return { grpc, tls: tls !== undefined, certificate_expires_at: null };
}

function parseJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}

function readConfig(text: string): z.infer<typeof CONFIG> | undefined {
  const problems: Problem[] = [];
  return CONFIG.safeParse(readYaml(text, problems)).data;
}

function checksOf(samples: readonly Sample[]): ChecksStatus {
  const count = (action: string): number => sumOf(samples, CHECKS, { action });
  return {
    total: sumOf(samples, CHECKS),
    in_flight: sumOf(samples, 'approov_checks_in_flight'),
    ...verdictsOf(samples),
    reasons: reasonsOf(samples),
    actions: { allow: count('allow'), limit: count('limit'), deny: count('deny') },
  };
}

function reasonsOf(samples: readonly Sample[]): ChecksStatus['reasons'] {
  const unverified = labelsOf(samples, CHECKS, { verdict: 'unverified' });
  const counts = [...new Set(unverified.map(({ reason = '' }) => reason))].map(
    (reason) => [reason, sumOf(samples, CHECKS, { verdict: 'unverified', reason })] as const,
  );
  return Object.fromEntries(
    counts.filter(([, count]) => count > 0).sort(([, one], [, other]) => other - one),
  );
}

/** A key that has verified or may verify: also a decryption or message signing key, which `/readyz` does not list. */
function keysOf(
  samples: readonly Sample[],
  { keys: { loaded, missing } }: Components,
  otherKeys: z.infer<typeof KEYS>,
): readonly KeyStatus[] {
  const counted = labelsOf(samples, 'approov_key_verifications_total').map(({ key_id = '' }) => key_id);
  const ids = new Set([...counted, ...loaded.map(({ id }) => id), ...missing]);
  return Array.from(ids, (id) => ({
    id,
    loaded: !missing.includes(id),
    fingerprints: [...loaded, ...otherKeys].flatMap((key) =>
      key.id === id && key.fingerprint !== undefined ? [key.fingerprint] : [],
    ),
    verifications: sumOf(samples, 'approov_key_verifications_total', { key_id: id }),
    last_used_at: timeOf(samples, 'approov_key_last_used_timestamp_seconds', { key_id: id }),
  }));
}

/** Only sources that have something to load. */
function reloadsOf(samples: readonly Sample[], { files, urls }: Components): readonly ReloadStatus[] {
  return labelsOf(samples, 'approov_reload_last_success_timestamp_seconds')
    .map(({ source = '' }) => {
      const count = (outcome: string): number => sumOf(samples, 'approov_reloads_total', { source, outcome });
      const ofFiles = files[source] ?? [];
      const ofUrls = source === 'jwks' ? Object.entries(urls) : [];
      return {
        source,
        last_success_at: timeOf(samples, 'approov_reload_last_success_timestamp_seconds', { source }),
        successes: count('success'),
        failures: count('failure'),
        problems: [
          ...(typeof ofFiles === 'string' ? [] : ofFiles),
          ...ofUrls.map(([id, problem]) => `key ${id}: ${problem}`),
        ],
      };
    })
    .filter(
      ({ last_success_at, failures, problems }) =>
        last_success_at !== null || failures > 0 || problems.length > 0,
    );
}

/** `null` for 0, which means never. */
function timeOf(samples: readonly Sample[], name: string, labels: Sample['labels']): string | null {
  return isoTime(sumOf(samples, name, labels));
}

function isoTime(seconds: number): string | null {
  const date = new Date(seconds * 1000);
  return seconds === 0 || Number.isNaN(date.getTime()) ? null : date.toISOString();
}
