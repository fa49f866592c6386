/** Parses `rollout` alone, for the thresholds of a fleet: the command that asks for them needs no keys. */
import * as z from 'zod';
import type { Problem } from './config.ts';
import { dropEmptySections } from './empty-sections.ts';
import { ROLLOUT, type RolloutSettings } from './rollout-schema.ts';
import { REPORT_INPUT, shapeProblems } from './shape-problems.ts';
import { readYaml } from './yaml.ts';

export type ParsedRollout =
  | { readonly kind: 'valid'; readonly value: RolloutSettings }
  | { readonly kind: 'invalid'; readonly problems: readonly Problem[] };

/** Ignores what is wrong elsewhere. @param text of the file; `undefined` for the defaults. */
export function parseRollout(text: string | undefined): ParsedRollout {
  const problems: Problem[] = [];
  const content = readYaml(text ?? '', problems);
  if (content === undefined) return { kind: 'invalid', problems };
  dropEmptySections(content, ['rollout', 'rollout.appVersion']);
  const parsed = z.object({ rollout: ROLLOUT.prefault({}) }).safeParse(content, REPORT_INPUT);
  if (parsed.success) return { kind: 'valid', value: parsed.data.rollout };
  return { kind: 'invalid', problems: shapeProblems(parsed.error) };
}
