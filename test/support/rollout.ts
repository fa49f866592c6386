/** Makes records of checks for tests of the rollout, by deciding real requests. */

import { decide } from '../../src/authz/decide.ts';
import { choosePolicies, type Policy } from '../../src/authz/policy.ts';
import type { RolloutSettings } from '../../src/config/rollout-schema.ts';
import { buildReport, type ReportParts, type RolloutReport } from '../../src/rollout/report.ts';
import type { CheckRecord } from '../../src/telemetry/check-observer.ts';
import { checkRequest, checkVerifier, NOW, policy, policyTable, type RequestFields } from './check.ts';

export const DEVICE_KEY = Uint8Array.from([1, 2, 3, 4, 5, 6, 7, 8]);

/** The defaults of the configuration. */
export const THRESHOLDS: RolloutSettings = {
  minHours: 24,
  minChecks: 10_000,
  maxWouldDenyPercent: 0.1,
  maxWorstHourPercent: 1,
  minHourTrafficPercent: 1,
  maxInternalErrors: 0,
  minNewestVerifiedPercent: 99.9,
};

/** The record of a check at a time, under a policy. */
export function recordOf(
  request: RequestFields,
  nowSeconds: number = NOW,
  under: Policy = policy({ mode: 'observe' }),
): CheckRecord {
  const checked = checkRequest(request);
  const choice = choosePolicies(checked, policyTable(under));
  return {
    request: checked,
    decision: decide(checked, choice, checkVerifier(), nowSeconds),
    traceparent: undefined,
    nowSeconds,
    durationSeconds: 0,
  };
}

/** The report of a service that has counted nothing. */
export function reportOf(parts: Partial<ReportParts> = {}): RolloutReport {
  return buildReport({
    version: '1.2.3',
    nowSeconds: NOW,
    snapshot: { sinceSeconds: NOW - 60, policies: {} },
    policyTable: policyTable(policy({ mode: 'observe' })),
    settings: THRESHOLDS,
    covers: { instance: 'authz-0', processes: 1, worker_restarts: 0 },
    keys: [],
    failingReloads: [],
    overrides: new Map(),
    ...parts,
  });
}
