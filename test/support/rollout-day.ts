/** Counts a day of made-up traffic with the real recorder, at a clock of its own. */
import type { VerifiedToken } from '../../src/approov/token.ts';
import { createRolloutRecorder } from '../../src/rollout/recorder.ts';
import type { ReportParts, RolloutReport } from '../../src/rollout/report.ts';
import type { CheckRecord } from '../../src/telemetry/check-observer.ts';
import { NOW, policy, policyTable, type RequestFields } from './check.ts';
import { DEVICE_KEY, recordOf, reportOf, THRESHOLDS } from './rollout.ts';
import { mintToken, OTHER_SECRET_BYTES } from './token.ts';

const observed = policy({ name: 'default', mode: 'observe' });
const strict = policy({ name: 'payments', mode: 'enforce' });
const open = policy({ name: 'open', mode: 'off' });
const stepped = policy({ name: 'profile', mode: 'enforce', enforcePercent: 25 });
const overridden = policy({ name: 'checkout', mode: 'enforce', enforcePercent: 50 });
export const DAY_POLICIES = policyTable(observed, [], [strict, open, stepped, overridden]);

const OVERRIDE = {
  mode: 'observe',
  since: isoAgo(600),
  until: isoAgo(-1200),
  reason: 'checkout is locked out, INC-4711',
};

const APP_VERSION = { header: 'x-app-version', known: ['7.1', '7.2', '7.3'] };
const TOKEN = mintToken({ exp: NOW + 1e6, did: 'did' });

/** What one in so many checks is, and from how many devices. */
interface Share {
  readonly headers: NonNullable<RequestFields['headers']>;
  readonly oneIn: number;
  readonly devices: number;
}

const REFUSED: readonly Share[] = [
  { headers: {}, oneIn: 450, devices: 3 },
  { headers: { 'approov-status': 'no_network', 'x-app-version': '7.3' }, oneIn: 2700, devices: 12 },
  { headers: { 'approov-status': 'no_approov_service', 'x-app-version': '7.2' }, oneIn: 4100, devices: 9 },
  { headers: { 'approov-token': 'rejected' }, oneIn: 7100, devices: 4 },
  {
    headers: { 'approov-token': mintToken({ exp: NOW + 1e6 }, { secret: OTHER_SECRET_BYTES }) },
    oneIn: 2300,
    devices: 8,
  },
];

/** The hour of the worst trouble, before now. */
const TROUBLE_HOURS_AGO = 9;

/** A report about 24 hours under five policies: one observed, one enforced without a refused check, one off,
 * and two without a check, of which one enforces a share and one is overridden. */
export function reportOfDay(parts: Partial<ReportParts> = {}): RolloutReport {
  const sinceSeconds = NOW - 24.2 * 3600;
  const recorder = createRolloutRecorder(sinceSeconds);
  recorder.useDeviceKey(DEVICE_KEY);
  recorder.configure(DAY_POLICIES, APP_VERSION, sinceSeconds);
  let checks = 0;
  const verified = ['7.1', '7.2', '7.3'].map((version) =>
    recordOf({ headers: { 'approov-token': TOKEN, 'x-app-version': version } }, NOW, observed),
  );
  const refused = REFUSED.map(({ headers, ...share }) => ({
    record: recordOf({ headers }, NOW, observed),
    ...share,
  }));
  const paid = recordOf({ headers: { 'approov-token': TOKEN, 'x-app-version': '7.3' } }, NOW, strict);
  for (let minute = 24 * 60; minute >= 0; minute--) {
    const now = NOW - 60 * minute;
    const hour = Math.floor(minute / 60);
    // From a night of little traffic to an evening of much.
    const load = Math.round(66 + 60 * Math.sin(((24 - hour) / 24) * 2 * Math.PI - 2));
    for (let index = 0; index < load; index++) {
      checks++;
      const device = (checks * 7919) % 12_600;
      const record = verified[device % 10 < 7 ? 2 : device % 10 < 9 ? 1 : 0];
      if (record !== undefined) recorder.checkDone(of(record, now, `phone ${device}`));
      for (const { record: other, oneIn, devices } of refused)
        if (checks % oneIn === 0) recorder.checkDone(of(other, now, `${oneIn} ${checks % devices}`));
      if (hour === TROUBLE_HOURS_AGO && checks % 17 === 0) recorder.checkDone(expired(now, checks));
      if (index % 2 === 0) recorder.checkDone(of(paid, now, `phone ${device}`));
    }
  }
  return reportOf({
    version: '0.1.0',
    snapshot: recorder.snapshot(),
    policyTable: DAY_POLICIES,
    settings: { ...THRESHOLDS, appVersion: APP_VERSION },
    covers: { instance: 'authz-7d9c4b6f4-x2k8p', processes: 4, worker_restarts: 0 },
    keys: [
      { id: 'current', verifications: 47_210, last_used_at: isoAgo(0) },
      { id: 'previous', verifications: 12, last_used_at: isoAgo(5 * 3600) },
      { id: 'next', verifications: 0, last_used_at: null },
    ],
    overrides: new Map([[overridden.name, OVERRIDE]]),
    ...parts,
  });
}

function isoAgo(seconds: number): string {
  return new Date((NOW - seconds) * 1000).toISOString();
}

/** The same check at another time, from another device. */
function of(record: CheckRecord, nowSeconds: number, did: string): CheckRecord {
  const { decision, request } = record;
  if (decision.verifiedToken === undefined)
    return { ...record, nowSeconds, request: request && { ...request, sourceAddress: did } };
  const verifiedToken = { ...decision.verifiedToken, claims: { did } } as VerifiedToken;
  return { ...record, nowSeconds, decision: { ...decision, verifiedToken } };
}

/** Most by less than a minute, as if a clock were wrong. */
function expired(nowSeconds: number, number: number): CheckRecord {
  const late = number % 6 === 0 ? 200 : 30;
  return recordOf(
    { headers: { 'approov-token': mintToken({ exp: nowSeconds - late, did: `late ${number % 70}` }) } },
    nowSeconds,
    observed,
  );
}
