/** Runs a real Prometheus and queries its HTTP API. */
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { parse, stringify } from 'yaml';
import { runTool, startTool } from './platform-tool.ts';
import { PROMETHEUS_FOLDER } from './prometheus.ts';

export interface Sample {
  readonly metric: Readonly<Record<string, string>>;
  readonly value: readonly [seconds: number, value: string];
}

export interface Series {
  readonly metric: Readonly<Record<string, string>>;
  readonly values: readonly (readonly [seconds: number, value: string])[];
}

export interface RunningPrometheus {
  /** `http://host:port` */
  readonly origin: string;
  /** The `data` of a path below /api/v1/. Throws if Prometheus reports an error. */
  api<T>(path: string): Promise<T>;
  query(expr: string): Promise<readonly Sample[]>;
  /** Queries every second of a range that ends now. */
  queryRange(expr: string, startSeconds: number): Promise<readonly Series[]>;
  stop(): Promise<void>;
}

/** The targets of a job, by its name. */
export type Jobs = Readonly<
  Record<string, { readonly targets: readonly string[]; readonly labels?: Readonly<Record<string, string>> }>
>;

/**
 * Starts Prometheus with prometheus.yaml, but with local targets, other rules, and intervals of a second.
 * @param past samples that it has already, in the OpenMetrics format with timestamps.
 */
export async function startPrometheus(
  jobs: Jobs,
  rulesFile: string,
  past?: string,
): Promise<RunningPrometheus> {
  const folder = mkdtempSync(join(tmpdir(), 'prometheus-'));
  const configFile = join(folder, 'prometheus.yaml');
  writeFileSync(configFile, stringify(relocatedConfig(jobs, rulesFile)));
  if (past !== undefined) await backfill(folder, past);
  const prometheus = startTool('prometheus', [
    `--config.file=${configFile}`,
    `--storage.tsdb.path=${join(folder, 'storage')}`,
    '--web.listen-address=127.0.0.1:0',
  ]);
  const address = await eventually('Prometheus listens', () => {
    if (!prometheus.isRunning()) throw new Error(prometheus.output());
    return /msg="Listening on".*?\baddress=(127\.0\.0\.1:\d+)/.exec(prometheus.output())?.[1];
  });
  const origin = `http://${address}`;
  await eventually('Prometheus is ready', async () => (await fetch(`${origin}/-/ready`)).ok || undefined);

  async function api<T>(path: string): Promise<T> {
    const { status, data, error } = (await (await fetch(`${origin}/api/v1/${path}`)).json()) as {
      status: string;
      data: T;
      error?: string;
    };
    if (status !== 'success') throw new Error(`${decodeURIComponent(path)}: ${error}`);
    return data;
  }

  return {
    origin,
    api,
    async query(expr) {
      const { result } = await api<{ result: readonly Sample[] }>(`query?query=${encodeURIComponent(expr)}`);
      return result;
    },
    async queryRange(expr, startSeconds) {
      const range = `start=${startSeconds}&end=${Date.now() / 1000}&step=1`;
      const { result } = await api<{ result: readonly Series[] }>(
        `query_range?${range}&query=${encodeURIComponent(expr)}`,
      );
      return result;
    },
    async stop() {
      await prometheus.stop();
      rmSync(folder, { recursive: true });
    },
  };
}

async function backfill(folder: string, past: string): Promise<void> {
  const file = join(folder, 'past.txt');
  writeFileSync(file, past);
  const { code, output } = await runTool('promtool', [
    ...['tsdb', 'create-blocks-from', 'openmetrics'],
    ...[file, join(folder, 'storage')],
  ]);
  if (code !== 0) throw new Error(output);
}

function relocatedConfig(jobs: Jobs, rulesFile: string): unknown {
  const sample = parse(readFileSync(`${PROMETHEUS_FOLDER}prometheus.yaml`, 'utf8')) as {
    scrape_configs: { job_name: string; dns_sd_configs?: unknown; static_configs?: unknown }[];
  };
  return {
    ...sample,
    global: { scrape_interval: '1s', evaluation_interval: '1s' },
    rule_files: [rulesFile],
    scrape_configs: sample.scrape_configs.map(({ dns_sd_configs, static_configs, ...job }) => ({
      ...job,
      static_configs: [jobs[job.job_name]],
    })),
  };
}

/** Polls until the result is defined. */
export async function eventually<T>(
  what: string,
  look: () => T | undefined | Promise<T | undefined>,
): Promise<T> {
  const deadline = Date.now() + 60_000;
  for (;;) {
    const found = await look();
    if (found !== undefined) return found;
    if (Date.now() > deadline) throw new Error(`not within 60 s: ${what}`);
    await sleep(100);
  }
}
