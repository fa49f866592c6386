/** Owns reading where the service listens, and nothing else: little to load for a probe that runs every few seconds. */
import * as z from 'zod';
import { ConfigError, type Problem } from './config.ts';
import { dropEmptySections } from './empty-sections.ts';
import { applyOverrides, type Env, withOrigin } from './env.ts';
import { LISTEN, type ListenSettings } from './listen.ts';
import { shapeProblems } from './shape-problems.ts';
import { readYaml } from './yaml.ts';

/**
 * Whoever asks whether it serves must not be stopped by what is
 * wrong elsewhere, as the service serves on with its last good state.
 * @throws {ConfigError} with what is wrong with it.
 */
export function parseListen(text: string | undefined, env: Env): ListenSettings {
  const problems: Problem[] = [];
  const content = readYaml(text ?? '', problems);
  if (content === undefined) throw new ConfigError(problems);
  dropEmptySections(content, ['listen', 'listen.tls']);
  // No policy is looked at, so none has a name here.
  const origins = applyOverrides(content, listenVariables(env), '', problems);
  const listen = z.object({ listen: LISTEN.prefault({}) }).safeParse(content);
  if (!listen.success) problems.push(...shapeProblems(listen.error));
  if (listen.success && problems.length === 0) return listen.data.listen;
  throw new ConfigError(problems.map((problem) => withOrigin(problem, origins)));
}

function listenVariables({ APPROOV_GRPC_LISTEN, APPROOV_ADMIN_LISTEN }: Env): Env {
  return { APPROOV_GRPC_LISTEN, APPROOV_ADMIN_LISTEN };
}
