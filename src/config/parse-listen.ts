/** Parses `listen` alone: it loads little, for a probe that runs every few seconds. */
import * as z from 'zod';
import type { Problem } from './config.ts';
import { dropEmptySections } from './empty-sections.ts';
import { applyOverrides, type Env, withOrigin } from './env.ts';
import { LISTEN, type ListenSettings } from './listen.ts';
import { REPORT_INPUT, shapeProblems } from './shape-problems.ts';
import { readYaml } from './yaml.ts';

export type ParsedListen =
  | { readonly kind: 'valid'; readonly value: ListenSettings }
  | { readonly kind: 'invalid'; readonly problems: readonly Problem[] };

/** Ignores what is wrong elsewhere: with that, a running service keeps serving its last good state. */
export function parseListen(text: string | undefined, env: Env): ParsedListen {
  const problems: Problem[] = [];
  const content = readYaml(text ?? '', problems);
  if (content === undefined) return { kind: 'invalid', problems };
  dropEmptySections(content, ['listen', 'listen.tls']);
  const origins = applyOverrides(content, listenVariables(env), '', problems);
  const listen = z.object({ listen: LISTEN.prefault({}) }).safeParse(content, REPORT_INPUT);
  if (!listen.success) problems.push(...shapeProblems(listen.error));
  if (listen.success && problems.length === 0) return { kind: 'valid', value: listen.data.listen };
  return { kind: 'invalid', problems: problems.map((problem) => withOrigin(problem, origins)) };
}

function listenVariables({ APPROOV_GRPC_LISTEN, APPROOV_ADMIN_LISTEN }: Env): Env {
  return { APPROOV_GRPC_LISTEN, APPROOV_ADMIN_LISTEN };
}
