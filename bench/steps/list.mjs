/** Lists the steps of a check that are timed one by one. */
import {
  CompactToken,
  checkBinding,
  choosePolicies,
  decodeCheckRequest,
  encodeCheckResponse,
  readTokenHeader,
  signedRequestOf,
  verifyToken,
} from './built.mjs';
import { nowSeconds, prepareCheck } from './prepare-check.mjs';

/**
 * @param {string} folder for files
 * @returns {Promise<{ label: string, run: () => unknown }[]>}
 */
export async function listSteps(folder) {
  const hot = await prepareCheck('hot', 'plain', folder);
  const refused = await prepareCheck('refused', 'plain', folder, 1);
  const bound = await prepareCheck('bound', 'bound', folder);
  const boundToken = verified(bound);
  const boundValues = [bound.request.headers.get('authorization') ?? []];
  const { policyTable, denied, keyset } = hot.rules;
  const host = 'api.example.com';
  return [
    { label: 'decode the request', run: () => decodeCheckRequest(hot.message, hot.headerNames) },
    { label: 'choose the policy', run: () => choosePolicies(hot.request, policyTable) },
    { label: 'read the token', run: () => readTokenHeader(hot.request, hot.policy) },
    {
      label: 'read the token, and find it in the cache',
      run() {
        const presented = readTokenHeader(hot.request, hot.policy);
        if (presented.kind !== 'token') throw new RangeError(presented.kind);
        return hot.verifier.forCheck(nowSeconds()).verifyToken(presented.token, host);
      },
    },
    { label: 'verify HS256', run: () => verifyToken(new CompactToken(hot.token.text), keyset, host) },
    { label: 'compare the binding hash', run: () => checkBinding(boundToken, boundValues, 'required') },
    signatureStep(
      'verify an ES256 message signature',
      await prepareCheck('signed-install', 'signed-install', folder),
    ),
    signatureStep(
      'verify an HMAC message signature',
      await prepareCheck('signed-account', 'signed-account', folder),
    ),
    {
      label: 'encode the response',
      run: () => encodeCheckResponse(hot.decision, denied, hot.request.resultHeaderAliases),
    },
    { label: 'count in the metrics', run: () => hot.metrics.checkDone(hot.record) },
    { label: 'count for the rollout page', run: () => hot.rollout.checkDone(hot.record) },
    { label: 'count for the rollout page, refused', run: () => refused.rollout.checkDone(refused.record) },
    { label: 'log, allowed: no line', run: () => hot.log.checkDone(hot.record) },
    { label: 'log, refused: mostly suppressed', run: () => refused.log.checkDone(refused.record) },
    { label: 'whole check, hot token', run: () => hot.checker.check(hot.message, undefined) },
    { label: 'whole check, refused', run: () => refused.checker.check(refused.message, undefined) },
  ];
}

/**
 * @param {string} label
 * @param {import('./prepare-check.mjs').PreparedCheck} check
 */
function signatureStep(label, check) {
  const { request, policy, verifier } = check;
  const { messageSignature } = policy;
  if (messageSignature === null) throw new RangeError('the policy verifies no message signature');
  const token = verified(check);
  return {
    label,
    run: () =>
      verifier
        .forCheck(nowSeconds())
        .verifyMessage(signedRequestOf(request, messageSignature), messageSignature, token),
  };
}

/** @param {import('./prepare-check.mjs').PreparedCheck} check */
function verified({ decision }) {
  if (decision.verifiedToken === undefined) throw new RangeError(`not verified: ${decision.reason}`);
  return decision.verifiedToken;
}
