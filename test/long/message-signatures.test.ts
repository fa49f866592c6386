/** Tests at length that signed requests pass a real Envoy, and that none passes once anything that it covers is changed. */
import { randomInt } from 'node:crypto';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { honestRequests, PLAIN, signHonest } from '../support/honest-requests.ts';
import { CHANGES, changedRequests } from '../support/signed-changes.ts';
import { countOutcomes, refusals, type SignedStack, startSignedStack } from '../support/signed-traffic.ts';

const HONEST_REQUESTS = 10_000;
const IDENTICAL_REQUESTS = 1000;
const CHANGED_REQUESTS = 1000;

let stack: SignedStack;
beforeAll(async () => {
  stack = await startSignedStack('{account: when-mskid, contentDigest: required, replay: per-instance}');
});
afterAll(() => stack.close());

test(`${HONEST_REQUESTS} honest requests with any path, query and body are allowed`, async () => {
  const seed = randomInt(2 ** 31);
  const outcomes = await countOutcomes(stack, honestRequests(HONEST_REQUESTS, seed));
  expect({ seed, ...outcomes }).toEqual({ seed, 200: HONEST_REQUESTS });
});

test(`${IDENTICAL_REQUESTS} identical requests that were signed within one second are allowed`, async () => {
  const created = Math.floor(Date.now() / 1000);
  const requests = Array.from({ length: IDENTICAL_REQUESTS }, () => signHonest(PLAIN, created));
  expect(await countOutcomes(stack, requests)).toEqual({ 200: IDENTICAL_REQUESTS });
});

describe.each(['install', 'account'] as const)(
  `of ${CHANGED_REQUESTS} requests with the %s signature none is allowed after a change of`,
  (label) => {
    test.each(Object.entries(CHANGES))('%s', async (_part, change) => {
      const seed = randomInt(2 ** 31);
      const outcomes = await countOutcomes(stack, changedRequests(label, change, CHANGED_REQUESTS, seed));
      expect({ seed, ...refusals(outcomes) }).toEqual({ seed, refused: CHANGED_REQUESTS });
    });
  },
);
