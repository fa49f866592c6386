/** Schema of `rollout` in the configuration file: the thresholds of the assessment, and the versions of the app. */
import * as z from 'zod';
import { headerName } from './header-name.ts';
import { isUnique } from './lists.ts';

const percent = z.number().min(0).max(100);

/** Requests with another version, or none, are counted under this name. */
const OTHER = 'other';

const version = z
  .string('must be a string: quote a number')
  .regex(
    /^[0-9A-Za-z][0-9A-Za-z._+-]{0,31}$/,
    'must be 1 to 32 letters, digits, or ._+-, as the app sends it',
  )
  .refine((value) => value !== OTHER, 'must not be other, which every unknown version is called')
  .meta({ not: { const: OTHER } });

const APP_VERSION = z.strictObject({
  header: headerName.meta({
    description:
      'Request header in which the app sends its version. Envoy must pass it on (`allowed_headers`).',
    examples: ['x-app-version'],
  }),
  known: z
    .array(version)
    .min(1)
    .max(50)
    .refine(isUnique, 'must not name a version twice')
    .meta({
      description: 'Versions that are counted by name, the newest last; every other version is `other`.',
      examples: [['7.2', '7.3']],
    }),
});

export const ROLLOUT = z.strictObject({
  minHours: z
    .number()
    .min(0)
    .max(24)
    .default(24)
    .describe('For how long checks must have been counted. Fractions are allowed.'),
  minChecks: z
    .int()
    .min(1)
    .max(1_000_000_000)
    .default(10_000)
    .describe('How many checks of the last 24 hours must have been judged, which skipped checks are not.'),
  maxWouldDenyPercent: percent
    .default(0.1)
    .describe('Largest share of the judged checks that enforcing would deny.'),
  maxWorstHourPercent: percent
    .default(1)
    .describe('Largest share that enforcing would deny in any one hour.'),
  minHourTrafficPercent: percent
    .default(1)
    .describe('An hour with a smaller share of the judged checks does not count as the worst hour.'),
  maxInternalErrors: z
    .int()
    .min(0)
    .max(1_000_000_000)
    .default(0)
    .describe('Most checks that the service may have failed to decide (`internal_error`).'),
  minNewestVerifiedPercent: percent
    .default(99.9)
    .describe(
      'Smallest share of verified checks of the newest app version, once 1 % of `minChecks` are of it; only with `appVersion`.',
    ),
  appVersion: APP_VERSION.optional().meta({
    description: 'Where the app sends its version. Omitted: checks are not counted by version.',
    examples: [{ header: 'x-app-version', known: ['7.2', '7.3'] }],
  }),
});

export type RolloutSettings = z.infer<typeof ROLLOUT>;
export type AppVersionSettings = z.infer<typeof APP_VERSION>;
