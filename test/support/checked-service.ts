/** A running service with a configuration file that tests can change, and one client. */
import { mkdtempSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { stringify } from 'yaml';
import { readMetrics } from './admin-pages.ts';
import { createCheckClient, metadataOf, type ResponseJson, requestWith } from './grpc-client.ts';
import { type RunningService, startServe } from './process.ts';

export interface CheckedService extends RunningService {
  readonly configFile: string;
  /** Checks a request with this token, or without one. */
  ask(token: string | undefined, http?: Readonly<Record<string, unknown>>): Promise<ResponseJson>;
  /** The reason of the decision, as Envoy's metadata has it. */
  reasonOf(token: string | undefined, http?: Readonly<Record<string, unknown>>): Promise<string>;
  metric(series: string): Promise<number | undefined>;
  writeConfig(config: object | string): void;
}

/** A temporary folder for one test file. */
export interface Scratch {
  readonly folder: string;
  path(name: string): string;
  /** Writes in place; @returns the path. */
  write(name: string, content: string | Buffer): string;
  remove(): void;
}

export function createScratch(name: string): Scratch {
  const folder = mkdtempSync(join(tmpdir(), `${name}-`));
  const path = (file: string): string => join(folder, file);
  return {
    folder,
    path,
    write(file, content) {
      writeFileSync(path(file), content);
      return path(file);
    },
    remove: () => rmSync(folder, { recursive: true, force: true }),
  };
}

export async function startChecked(
  scratch: Scratch,
  config: object,
  env: Readonly<Record<string, string>> = {},
): Promise<CheckedService> {
  const configFile = scratch.write('config.yaml', stringify(config));
  const service = await startServe(env, ['--config', configFile]);
  const client = createCheckClient(service.grpc);
  const ask: CheckedService['ask'] = (token, http) =>
    client.check(requestWith(token === undefined ? {} : { 'approov-token': token }, http));
  return {
    ...service,
    configFile,
    ask,
    reasonOf: async (token, http) => String(metadataOf(await ask(token, http))['approov_reason']),
    metric: async (series) => (await readMetrics(service.admin)).get(series),
    writeConfig(next) {
      // By rename, so that the service never reads a partial file; reading one is another test's subject.
      const written = scratch.write('.config.yaml', typeof next === 'string' ? next : stringify(next));
      renameSync(written, configFile);
    },
    async kill() {
      client.close();
      await service.kill();
    },
  };
}
