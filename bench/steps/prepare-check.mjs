/** Takes a check apart: what goes into each of its steps. */
import { randomBytes } from 'node:crypto';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { SERVICE_CONFIGS } from '../scenarios.mjs';
import { SECRETS } from '../tokens.mjs';
import { checksOf } from '../workload.mjs';
import {
  createChecker,
  createKeyStore,
  createLog,
  createMetrics,
  createRolloutRecorder,
  decodeCheckRequest,
  evaluate,
  headersDecodedUnder,
  loadConfig,
  readTokenHeader,
  rulesOf,
  TokenVerifier,
} from './built.mjs';

/** The length prefix of gRPC. */
const PREFIX_BYTES = 5;

export const nowSeconds = () => Date.now() / 1000;

/**
 * @param {string} messages of workload.mjs
 * @param {string} config
 * @param {string} folder for files
 * @param {number} [index] of the messages
 */
export async function prepareCheck(messages, config, folder, index = 0) {
  const rules = await loadRules(config, folder);
  const observers = openObservers(rules);
  const message = checksOf(messages)[index]?.bytes.subarray(PREFIX_BYTES) ?? Buffer.alloc(0);
  const headerNames = headersDecodedUnder(rules.policyTable);
  const request = decodeCheckRequest(message, headerNames);
  const policy = rules.policyTable.defaultPolicy;
  const verifier = new TokenVerifier(rules);
  const decision = await evaluate(request, { policyTable: rules.policyTable, verifier }, nowSeconds);
  const presented = readTokenHeader(request, policy);
  if (presented.kind !== 'token') throw new RangeError(presented.kind);
  return {
    ...{ rules, ...observers, message, headerNames, request, policy, verifier, decision },
    token: presented.token,
    record: { request, decision, traceparent: undefined, nowSeconds: nowSeconds(), durationSeconds: 5e-5 },
  };
}

/** @typedef {Awaited<ReturnType<typeof prepareCheck>>} PreparedCheck */

/**
 * @param {string} config
 * @param {string} folder
 */
async function loadRules(config, folder) {
  const accountKeyFile = join(folder, 'account-key');
  const file = join(folder, `steps-${config}.yaml`);
  writeFileSync(accountKeyFile, SECRETS.account.toString('base64'));
  writeFileSync(file, SERVICE_CONFIGS[config]?.(accountKeyFile) ?? '');
  const loaded = await loadConfig(file, { APPROOV_BASE64_SECRET: SECRETS.token.toString('base64') });
  const keyStore = createKeyStore({
    keys: loaded.keys,
    proxy: () => loaded.config.proxy,
    nowMs: () => performance.now(),
    onError: () => undefined,
    onFetched: () => undefined,
  });
  return rulesOf(loaded, keyStore, new Map());
}

/** @param {import('../../src/checker.ts').CheckRules} rules */
function openObservers(rules) {
  const metrics = createMetrics('bench');
  metrics.configured(rules.policyTable, ['env']);
  const log = createLog({
    settings: { level: 'info', checks: 'failures' },
    destination: { write: () => undefined },
    nowMs: () => performance.now(),
    onSuppressed: () => undefined,
  });
  const rollout = createRolloutRecorder(nowSeconds());
  rollout.configure(rules.policyTable, undefined, nowSeconds());
  rollout.useDeviceKey(randomBytes(8));
  const checker = createChecker({
    ...{ rules, metrics, log, nowSeconds, observers: [metrics, log, rollout] },
    onUnknownKid: () => undefined,
  });
  return { metrics, log, rollout, checker };
}
