/** Tests with random requests that signed ones pass a real Envoy, and changed ones do not; test/long does it at length. */
import { randomInt } from 'node:crypto';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { type HonestRequest, honestRequests, PLAIN, signHonest } from '../support/honest-requests.ts';
import { CHANGES, changedRequests } from '../support/signed-changes.ts';
import { countOutcomes, refusals, type SignedStack, startSignedStack } from '../support/signed-traffic.ts';

const HONEST_REQUESTS = 300;
const IDENTICAL_REQUESTS = 100;
const CHANGED_REQUESTS = 20;

let stack: SignedStack;
beforeAll(async () => {
  stack = await startSignedStack('{account: when-mskid, contentDigest: required, replay: per-instance}');
});
afterAll(() => stack.close());

const send = (changed: Partial<HonestRequest>): Promise<string> =>
  stack.send(signHonest({ ...PLAIN, ...changed }));

/** Paths that Envoy changes before it asks the service, with the settings of envoy.yaml. Apps must not send them. */
const NORMALISED: readonly [path: string, what: string][] = [
  ['/v1//shapes', 'merges slashes'],
  ['/v1/./shapes', 'resolves dot segments'],
  ['/v1/../shapes', 'resolves dot segments'],
  ['/v1/%2e%2e/shapes', 'resolves dot segments'],
  ['/v1/..;/shapes', 'resolves dot segments'],
  ['/v1\\shapes', 'reads a backslash as a slash'],
  ['/%7Euser', 'decodes unreserved characters'],
  ['/%73hapes', 'decodes unreserved characters'],
  ['/a%2Db', 'decodes unreserved characters'],
  ['/a"b', 'encodes what a path cannot contain'],
  ['/a<b>', 'encodes what a path cannot contain'],
  ['/a|b', 'encodes what a path cannot contain'],
  ['/a^b`c', 'encodes what a path cannot contain'],
  ['/{id}', 'encodes what a path cannot contain'],
];

test.each(NORMALISED)('a signed request for %s is refused, because Envoy %s', async (path) => {
  expect(await send({ path })).toBe('401 invalid_message_signature');
});

test.each(['/a%2Fb', '/a%5Cb', '/a%00'])(
  'a signed request for %s is refused by Envoy itself',
  async (path) => {
    expect(await send({ path })).toBe('400');
  },
);

test('honest requests with any path, query and body are allowed', async () => {
  const seed = randomInt(2 ** 31);
  const outcomes = await countOutcomes(stack, honestRequests(HONEST_REQUESTS, seed));
  expect({ seed, ...outcomes }).toEqual({ seed, 200: HONEST_REQUESTS });
});

test('identical requests that were signed within one second are allowed', async () => {
  const created = Math.floor(Date.now() / 1000);
  const requests = Array.from({ length: IDENTICAL_REQUESTS }, () => signHonest(PLAIN, created));
  expect(await countOutcomes(stack, requests)).toEqual({ 200: IDENTICAL_REQUESTS });
});

test('the same signed request is allowed once', async () => {
  const signed = signHonest(PLAIN);
  expect(await countOutcomes(stack, [signed, signed, signed])).toEqual({ 200: 1, '401 message_replayed': 2 });
});

describe.each(['install', 'account'] as const)(
  'a request with the %s signature is refused after a change of',
  (label) => {
    test.each(Object.entries(CHANGES))('%s', async (_part, change) => {
      const seed = randomInt(2 ** 31);
      const outcomes = await countOutcomes(stack, changedRequests(label, change, CHANGED_REQUESTS, seed));
      expect({ seed, ...refusals(outcomes) }).toEqual({ seed, refused: CHANGED_REQUESTS });
    });
  },
);
