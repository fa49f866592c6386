/** Defines what `rollout` shows, and reads it from the report of an instance. */
import * as z from 'zod';
import { ASSESSMENTS } from '../rollout/assess.ts';

const TALLY = z.record(z.string(), z.number());
const COUNTS = z.looseObject({
  judged: z.number(),
  verified: z.number(),
  refused: z.number(),
  groups: TALLY,
});

const POLICY = z.looseObject({
  name: z.string(),
  mode: z.string(),
  assessment: z.object({ kind: z.enum(ASSESSMENTS), sentence: z.string(), thresholds: z.string() }),
  windows: z.looseObject({ '5m': COUNTS, '1h': COUNTS, '24h': COUNTS }),
  /** Fields that Prometheus does not know are missing in an answer about the fleet. */
  devices: z.looseObject({ groups: TALLY }).optional(),
  sdk_status: TALLY.optional(),
  clock_hint: z.string().nullish(),
  denied_per_minute: z.object({ mean: z.number(), worst: z.number() }).optional(),
});

const ANSWER = z.looseObject({
  version: z.string(),
  covers: z.looseObject({ instance: z.string(), processes: z.number(), seconds: z.number() }),
  policies: z.array(POLICY),
});

/** The report, of which only these fields are shown as text. */
export type RolloutAnswer = z.infer<typeof ANSWER>;
export type PolicyAnswer = RolloutAnswer['policies'][number];

/** `undefined` if it is not the report of this service. */
export function readRolloutAnswer(text: string): RolloutAnswer | undefined {
  try {
    return ANSWER.safeParse(JSON.parse(text)).data;
  } catch {
    return undefined;
  }
}
