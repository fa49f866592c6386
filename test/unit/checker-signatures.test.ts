/** Tests signed requests in the checker: what is cached, and what happens when rules are replaced during a check. */
import { describe, expect, test } from 'vitest';
import type { ReplayGuard, ReplayOutcome } from '../../src/authz/replay.ts';
import { createChecker } from '../../src/checker.ts';
import { bytesField, stringField } from '../../src/envoy/wire-writer.ts';
import type { CheckRecord } from '../../src/telemetry/check-observer.ts';
import { KEYSET, keysetOf, NOW, policy, policyTable, symmetricKey } from '../support/check.ts';
import { MESSAGE_SIGNING_KEYS, signaturePolicy, signHeaders } from '../support/signed-check.ts';
import { OTHER_SECRET } from '../support/token.ts';

const RULES = {
  policyTable: policyTable(policy({ messageSignature: signaturePolicy({ replay: 'shared' }) })),
  keyset: KEYSET,
  denied: { status: 401, body: '', contentType: 'text/plain', exposeReason: false, headers: {} },
  tokenCacheEntries: 10,
  decryptionKeys: [],
  messageSigningKeys: MESSAGE_SIGNING_KEYS,
};

function messageOf(headers: Readonly<Record<string, string>>, path = '/'): Buffer {
  const pairs = Object.entries(headers).map(([name, value]) =>
    bytesField(3, stringField(1, name), stringField(2, value)),
  );
  const http = [stringField(2, 'GET'), stringField(4, path), stringField(5, 'api.example.com'), ...pairs];
  return bytesField(1, bytesField(4, bytesField(2, ...http)));
}

function start(replayGuard?: ReplayGuard) {
  const records: CheckRecord[] = [];
  const lookups: string[] = [];
  const checker = createChecker({
    rules: RULES,
    observers: [{ checkDone: (record) => void records.push(record) }],
    metrics: { cacheLookedUp: (outcome) => void lookups.push(outcome) },
    log: {
      warn: () => undefined,
      internalError(error) {
        throw error;
      },
    },
    nowSeconds: () => NOW,
    onUnknownKid: () => undefined,
    ...(replayGuard === undefined ? {} : { replayGuard }),
  });
  return { checker, lookups, reasons: () => records.map(({ decision }) => decision.reason) };
}

const FRESH: ReplayGuard = { check: () => ({ kind: 'fresh' }) };

test('a cached token does not make another request signed', async () => {
  const { checker, lookups, reasons } = start(FRESH);
  const headers = signHeaders();
  await checker.check(messageOf(headers), undefined);
  await checker.check(messageOf(headers, '/other'), undefined);
  await checker.check(messageOf({ 'approov-token': headers['approov-token'] ?? '' }), undefined);
  expect(lookups).toEqual(['miss', 'hit', 'hit']);
  expect(reasons()).toEqual(['ok', 'invalid_message_signature', 'missing_message_signature']);
});

test('a signed request that must not be a replay is a fault without a guard', async () => {
  const { checker, reasons } = start();
  await checker.check(messageOf(signHeaders()), undefined);
  expect(reasons()).toEqual(['internal_error']);
});

describe('rules that are replaced while a signature is being recorded', () => {
  /** Answers on demand. */
  function slowGuard() {
    const keys: string[] = [];
    let answer: (outcome: ReplayOutcome) => void = () => undefined;
    const guard: ReplayGuard = {
      check({ key }) {
        keys.push(key);
        return new Promise((resolve) => {
          answer = resolve;
        });
      },
    };
    return { guard, keys, answer: (kind: ReplayOutcome['kind']) => answer({ kind }) };
  }

  test.each([
    { name: 'by the same', rules: RULES, outcome: 'fresh', reason: 'ok' },
    { name: 'by the same', rules: RULES, outcome: 'replayed', reason: 'message_replayed' },
    {
      name: 'by a keyset without the key',
      rules: { ...RULES, keyset: keysetOf(symmetricKey({ secret: OTHER_SECRET })) },
      outcome: 'fresh',
      reason: 'invalid_token_signature',
    },
    {
      name: 'by a policy that refuses no replays',
      rules: { ...RULES, policyTable: policyTable(policy({ messageSignature: signaturePolicy() })) },
      outcome: 'replayed',
      reason: 'ok',
    },
  ] as const)(
    '$name decide $reason if it is $outcome, and it is recorded once',
    async ({ rules, outcome, reason }) => {
      const { guard, keys, answer } = slowGuard();
      const { checker, reasons } = start(guard);
      const response = checker.check(messageOf(signHeaders()), undefined);
      checker.replaceRules(rules);
      answer(outcome);
      await response;
      expect(reasons()).toEqual([reason]);
      expect(keys).toHaveLength(1);
    },
  );
});
