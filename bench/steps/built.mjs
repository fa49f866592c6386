/** Loads modules of the built service: what is measured is what is shipped. */

/**
 * @param {string} path below dist/
 * @returns {Promise<any>}
 */
const built = (path) => import(new URL(`../../dist/${path}.js`, import.meta.url).href);

/** @type {typeof import('../../src/checker.ts')} */
export const { createChecker } = await built('checker');
/** @type {typeof import('../../src/approov/compact-token.ts')} */
export const { CompactToken } = await built('approov/compact-token');
/** @type {typeof import('../../src/approov/token.ts')} */
export const { verifyToken } = await built('approov/token');
/** @type {typeof import('../../src/approov/token-binding.ts')} */
export const { checkBinding } = await built('approov/token-binding');
/** @type {typeof import('../../src/authz/evaluate.ts')} */
export const { evaluate } = await built('authz/evaluate');
/** @type {typeof import('../../src/authz/headers-read.ts')} */
export const { headersDecodedUnder } = await built('authz/headers-read');
/** @type {typeof import('../../src/authz/message-signature.ts')} */
export const { signedRequestOf } = await built('authz/message-signature');
/** @type {typeof import('../../src/authz/policy.ts')} */
export const { choosePolicies } = await built('authz/policy');
/** @type {typeof import('../../src/authz/token-header.ts')} */
export const { readTokenHeader } = await built('authz/token-header');
/** @type {typeof import('../../src/authz/token-verifier.ts')} */
export const { TokenVerifier } = await built('authz/token-verifier');
/** @type {typeof import('../../src/envoy/check-request-decoder.ts')} */
export const { decodeCheckRequest } = await built('envoy/check-request-decoder');
/** @type {typeof import('../../src/envoy/check-response-encoder.ts')} */
export const { encodeCheckResponse } = await built('envoy/check-response-encoder');
/** @type {typeof import('../../src/rollout/recorder.ts')} */
export const { createRolloutRecorder } = await built('rollout/recorder');
/** @type {typeof import('../../src/server/reloader.ts')} */
export const { rulesOf } = await built('server/reloader');
/** @type {typeof import('../../src/sources/config-store.ts')} */
export const { loadConfig } = await built('sources/config-store');
/** @type {typeof import('../../src/sources/key-store.ts')} */
export const { createKeyStore } = await built('sources/key-store');
/** @type {typeof import('../../src/telemetry/log.ts')} */
export const { createLog } = await built('telemetry/log');
/** @type {typeof import('../../src/telemetry/metrics.ts')} */
export const { createMetrics } = await built('telemetry/metrics');
