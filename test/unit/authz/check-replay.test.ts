/** Tests that the last part of a check refuses a signature that was used before, and records it once. */
import { createSecretKey, randomBytes } from 'node:crypto';
import { CompactEncrypt } from 'jose';
import { describe, expect, it } from 'vitest';
import { recordOnce } from '../../../src/authz/check-replay.ts';
import type { Decision } from '../../../src/authz/decide.ts';
import { evaluate } from '../../../src/authz/evaluate.ts';
import type { MessageSignaturePolicy } from '../../../src/authz/message-signature.ts';
import type { PolicyTable } from '../../../src/authz/policy.ts';
import type { ReplayGuard, ReplayMark, ReplayOutcome, ReplayScope } from '../../../src/authz/replay.ts';
import { TokenVerifier } from '../../../src/authz/token-verifier.ts';
import { checkRequest, KEYSET, NOW, policy, policyTable, type RequestFields } from '../../support/check.ts';
import {
  MESSAGE_SIGNING_KEYS,
  SIGNED_TOKEN,
  signaturePolicy,
  signHeaders,
} from '../../support/signed-check.ts';

const VERIFIER = new TokenVerifier({
  keyset: KEYSET,
  decryptionKeys: [],
  messageSigningKeys: MESSAGE_SIGNING_KEYS,
  tokenCacheEntries: 10,
});

/** Answers as given, and keeps what it was asked to record. */
function guardWith(outcome: ReplayOutcome['kind'], isRemote = false) {
  const asked: { mark: ReplayMark; scope: ReplayScope }[] = [];
  const guard: ReplayGuard = {
    check(mark, scope) {
      asked.push({ mark, scope });
      return isRemote ? Promise.resolve({ kind: outcome }) : { kind: outcome };
    },
  };
  return { asked, guard };
}

function signing(fields: Partial<MessageSignaturePolicy> = {}): MessageSignaturePolicy {
  return signaturePolicy({ replay: 'per-instance', ...fields });
}

function evaluateWith(
  replayGuard: ReplayGuard | undefined,
  fields: RequestFields = { headers: signHeaders() },
  table: PolicyTable = policyTable(policy({ messageSignature: signing() })),
): Decision | Promise<Decision> {
  return evaluate(checkRequest(fields), { policyTable: table, verifier: VERIFIER }, () => NOW, {
    replayGuard,
  });
}

describe('a signed request', () => {
  it.each([
    { outcome: 'fresh', reason: 'ok', step: undefined, action: 'allow' },
    { outcome: 'replayed', reason: 'message_replayed', step: 'message_signature', action: 'deny' },
    { outcome: 'failed', reason: 'internal_error', step: 'message_signature', action: 'deny' },
  ] as const)('that is $outcome is decided $reason, at once if this process knows', (expected) => {
    const { outcome, ...decided } = expected;
    const { guard } = guardWith(outcome);
    const decision = evaluateWith(guard);
    expect(decision).toMatchObject(decided);
    expect((decision as Decision).facts.messageSignature?.replay).toBe(outcome);
  });

  it('waits for the answer of a store', async () => {
    const { guard } = guardWith('replayed', true);
    const decision = evaluateWith(guard);
    expect(decision).toBeInstanceOf(Promise);
    expect(await decision).toMatchObject({ reason: 'message_replayed', action: 'deny' });
  });

  it('is internal_error without a guard, as it cannot be known to be fresh', () => {
    expect(evaluateWith(undefined)).toMatchObject({ reason: 'internal_error', action: 'deny' });
  });

  it.each([
    { mode: 'observe', replayed: 'allow', failed: 'allow' },
    { mode: 'limit', replayed: 'limit', failed: 'deny' },
    { mode: 'enforce', replayed: 'deny', failed: 'deny' },
  ] as const)('gets the action of mode $mode', ({ mode, ...actions }) => {
    const table = policyTable(policy({ mode, messageSignature: signing() }));
    for (const outcome of ['replayed', 'failed'] as const) {
      const { guard } = guardWith(outcome);
      const decision = evaluateWith(guard, { headers: signHeaders() }, table);
      expect(decision).toMatchObject({ action: actions[outcome], verdict: 'unverified' });
    }
  });

  it('is recorded by its signature, with its request id and as long as it is accepted', () => {
    const { asked, guard } = guardWith('fresh');
    evaluateWith(guard, { headers: signHeaders(), requestId: '42' });
    expect(asked).toEqual([
      {
        scope: 'per-instance',
        mark: {
          key: expect.stringMatching(/^[\w-]{43}$/),
          requestId: '42',
          createdSeconds: NOW,
          clockToleranceSeconds: 60,
          keepUntilSeconds: NOW + 15 + 60,
        },
      },
    ]);
  });
});

describe('a signed request with an encrypted token', () => {
  const key = createSecretKey(randomBytes(32));
  const verifier = new TokenVerifier({
    ...VERIFIER.keys,
    decryptionKeys: [
      {
        id: 'decryptor',
        kid: undefined,
        key,
        fingerprint: '0123456789ab',
        keyManagementAlgorithms: ['dir'],
        contentEncryptionAlgorithms: ['A256GCM'],
        isNested: true,
      },
    ],
    tokenCacheEntries: 0,
  });

  /** @param secondsToDecrypt by which the clock moves on meanwhile. */
  async function evaluateEncrypted(replayGuard: ReplayGuard, secondsToDecrypt: number): Promise<Decision> {
    const token = await new CompactEncrypt(Buffer.from(SIGNED_TOKEN))
      .setProtectedHeader({ alg: 'dir', enc: 'A256GCM' })
      .encrypt(key);
    const times = [NOW, NOW + secondsToDecrypt];
    const rules = { policyTable: policyTable(policy({ messageSignature: signing() })), verifier };
    const request = checkRequest({ headers: signHeaders({ token }) });
    return evaluate(request, rules, () => times.shift() ?? Number.NaN, { replayGuard });
  }

  it.each([
    { outcome: 'fresh', reason: 'ok' },
    { outcome: 'replayed', reason: 'message_replayed' },
  ] as const)('that is $outcome is decided $reason', async ({ outcome, reason }) => {
    const { asked, guard } = guardWith(outcome);
    expect(await evaluateEncrypted(guard, 1)).toMatchObject({ reason });
    expect(asked).toHaveLength(1);
  });

  it('is expired if it expires during the decryption', async () => {
    const { asked, guard } = guardWith('fresh');
    expect(await evaluateEncrypted(guard, 75)).toMatchObject({ reason: 'message_signature_expired' });
    expect(asked).toEqual([]);
  });
});

describe('nothing is recorded', () => {
  it.each([
    { name: 'that fails another step', fields: { headers: signHeaders({ path: '/other' }) } },
    { name: 'without a signature', fields: { headers: {} } },
  ])('for a request $name', ({ fields }) => {
    const { asked, guard } = guardWith('fresh');
    evaluateWith(guard, fields);
    expect(asked).toEqual([]);
  });

  it('for a policy with replay off', () => {
    const { asked, guard } = guardWith('replayed');
    const table = policyTable(policy({ messageSignature: signaturePolicy() }));
    expect(evaluateWith(guard, { headers: signHeaders() }, table)).toMatchObject({ reason: 'ok' });
    expect(asked).toEqual([]);
  });

  it('for an ambiguous request that another policy denies', () => {
    const { asked, guard } = guardWith('fresh');
    const strict = policy({ name: 'strict', issuer: ['acme'] });
    const table = policyTable(policy({ messageSignature: signing() }), [
      { host: undefined, pathPrefix: '/a', methods: undefined, policy: strict },
    ]);
    const path = '/;x';
    const decision = evaluateWith(guard, { path, headers: signHeaders({ path }) }, table);
    expect(decision).toMatchObject({ reason: 'claim_mismatch', ambiguous: 'path' });
    expect(asked).toEqual([]);
  });
});

describe('an ambiguous request', () => {
  const path = '/;x';
  const under = (...sections: readonly MessageSignaturePolicy[]): PolicyTable =>
    policyTable(
      policy({ mode: 'observe' }),
      sections.map((messageSignature, index) => ({
        host: undefined,
        pathPrefix: `/${index}`,
        methods: undefined,
        policy: policy({ name: `p${index}`, messageSignature }),
      })),
    );

  it('is recorded once, in the widest scope and for the longest time of its policies', () => {
    const { asked, guard } = guardWith('fresh');
    const table = under(
      signing({ maxAgeSeconds: 5 }),
      signing({ replay: 'shared', clockToleranceSeconds: 90 }),
      signing(),
    );
    expect(evaluateWith(guard, { path, headers: signHeaders({ path }) }, table)).toMatchObject({
      reason: 'ok',
    });
    expect(asked).toMatchObject([
      { scope: 'shared', mark: { clockToleranceSeconds: 90, keepUntilSeconds: NOW + 15 + 90 } },
    ]);
  });

  it('is refused by the one policy that refuses replays', () => {
    const { guard } = guardWith('replayed');
    const decision = evaluateWith(guard, { path, headers: signHeaders({ path }) }, under(signing()));
    expect(decision).toMatchObject({
      reason: 'message_replayed',
      action: 'deny',
      policy: { name: 'p0' },
      ambiguous: 'path',
    });
  });

  it('is recorded by each of the signatures that its policies verify', () => {
    const { asked, guard } = guardWith('fresh');
    const table = under(signing(), signing({ install: 'off', account: 'required' }));
    evaluateWith(guard, { path, headers: signHeaders({ path, labels: ['install', 'account'] }) }, table);
    expect(new Set(asked.map(({ mark }) => mark.key)).size).toBe(2);
  });
});

describe('recordOnce', () => {
  const mark: ReplayMark = {
    key: 'a',
    requestId: '',
    createdSeconds: 0,
    clockToleranceSeconds: 0,
    keepUntilSeconds: 1,
  };

  it('gives the first answer again, as for a request that is decided again', async () => {
    const { asked, guard } = guardWith('fresh', true);
    const once = recordOnce(guard);
    expect(await once.check(mark, 'shared')).toEqual({ kind: 'fresh' });
    expect(await once.check(mark, 'per-instance')).toEqual({ kind: 'fresh' });
    expect(asked).toHaveLength(1);
    await once.check({ ...mark, key: 'b' }, 'shared');
    expect(asked).toHaveLength(2);
  });

  it('records in the store what was recorded in this process only, if the rules have changed to that', async () => {
    const { asked, guard } = guardWith('fresh');
    const once = recordOnce(guard);
    await once.check(mark, 'per-instance');
    await once.check(mark, 'shared');
    expect(asked.map(({ scope }) => scope)).toEqual(['per-instance', 'shared']);
  });
});
