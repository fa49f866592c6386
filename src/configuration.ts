/** Owns bringing together what the service starts on: the configuration file, the environment, and the key files. */
import { readFile } from 'node:fs/promises';
import type { SymmetricKey } from './approov/keyset.ts';
import { type Config, ConfigError, type Problem } from './config/config.ts';
import type { Env } from './config/env.ts';
import { parseConfig } from './config/parse.ts';
import { describeFileError, loadKeys } from './key-files.ts';

export interface Configuration {
  readonly config: Config;
  readonly keys: readonly SymmetricKey[];
}

/**
 * Reads everything anew.
 * @param file the YAML file; `undefined` to start on the environment alone.
 * @throws {ConfigError} with every problem of file, environment and keys.
 */
export async function loadConfiguration(file: string | undefined, env: Env): Promise<Configuration> {
  const text = file === undefined ? undefined : await readConfigFile(file);
  const { config, keys: sources, problems } = parseConfig(text, env);
  const { keys, problems: keyProblems } = await loadKeys(sources);
  const all: readonly Problem[] = [...problems, ...keyProblems];
  if (config === undefined || all.length > 0) throw new ConfigError(all);
  return { config, keys };
}

async function readConfigFile(file: string): Promise<string> {
  try {
    return await readFile(file, 'utf8');
  } catch (error) {
    throw new ConfigError([{ path: '--config', message: describeFileError(file, error) }]);
  }
}
