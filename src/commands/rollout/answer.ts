/** Defines what `rollout` shows, of an instance or of a fleet, and reads the report of an instance. */
import * as z from 'zod';
import { ASSESSMENTS } from '../../rollout/assess.ts';
import { BEGINNING_NAMES } from '../../rollout/coverage.ts';

const TALLY = z.record(z.string(), z.number());

const COUNTS = z.looseObject({
  judged: z.number(),
  verified: z.number(),
  refused: z.number(),
  reasons: TALLY,
  /** Missing in an answer about the fleet, as all optional fields: Prometheus does not know them. */
  groups: TALLY.optional(),
});

const POLICY = z.looseObject({
  name: z.string(),
  mode: z.string(),
  enforce_percent: z.number().nullish(),
  mode_in_effect: z.string().optional(),
  override: z
    .looseObject({ mode: z.string(), seconds_left: z.number(), reason: z.string().nullable() })
    .nullish(),
  counted: z.looseObject({ seconds: z.number(), began: z.enum(BEGINNING_NAMES) }).optional(),
  assessment: z.object({ kind: z.enum(ASSESSMENTS), sentence: z.string(), thresholds: z.string() }),
  windows: z.object({ '5m': COUNTS, '1h': COUNTS, '24h': COUNTS }),
  devices: z.looseObject({ groups: TALLY }).optional(),
  sdk_status: TALLY.optional(),
  clock_hint: z.string().nullish(),
  refused_per_minute: z.object({ mean: z.number(), worst: z.number() }).optional(),
});

const INSTANCE = z.looseObject({ instance: z.string(), processes: z.number(), seconds: z.number() });
const FLEET = z.strictObject({ prometheus: z.string(), instances: z.number(), seconds: z.number() });

const ANSWER = z.looseObject({
  version: z.string(),
  covers: z.union([FLEET, INSTANCE]),
  policies: z.array(POLICY),
});

/** With `--json`, all of it is printed, and of an instance its whole report. */
export type RolloutAnswer = z.infer<typeof ANSWER>;
export type PolicyAnswer = RolloutAnswer['policies'][number];

/** Whether its checks are skipped. */
export function isOff({ mode, mode_in_effect: inEffect = mode }: PolicyAnswer): boolean {
  return inEffect === 'off';
}

/** @returns `undefined` if it is not the report of this service. */
export function readRolloutAnswer(text: string): RolloutAnswer | undefined {
  try {
    return ANSWER.safeParse(JSON.parse(text)).data;
  } catch {
    return undefined;
  }
}
