/** A service whose HS256 secret is rotated, under a load that checks every answer. */
import { randomBytes } from 'node:crypto';
import { setTimeout as sleep } from 'node:timers/promises';
import { expect, vi } from 'vitest';
import { type CheckedService, createScratch, type Scratch, startChecked } from './checked-service.ts';
import { createCheckClient, metadataOf, requestWith } from './grpc-client.ts';
import { freshToken } from './token.ts';

/** A change takes effect within 5 s, but not on a machine that is busy with other tests. */
const RELOAD = { timeout: 60_000, interval: 20 };
const CLIENTS = 4;
const PAUSE_MS = 20;

export interface RotatedSecret {
  readonly bytes: Buffer;
  readonly base64: string;
  /** Sent repeatedly, so that the token cache takes part. */
  readonly tokens: readonly string[];
}

export function createSecret(): RotatedSecret {
  const bytes = randomBytes(64);
  const tokens = Array.from({ length: 4 }, () => freshToken({}, { secret: bytes }));
  return { bytes, base64: bytes.toString('base64'), tokens };
}

/** The only allowed reason for tokens of a secret; a secret is absent while a change to it is in progress. */
type Expectations = Map<RotatedSecret, 'ok' | 'invalid_token_signature'>;

interface LoadReport {
  answered: number;
  readonly wrong: string[];
  readonly failed: string[];
}

export interface RotatingService {
  readonly scratch: Scratch;
  readonly service: CheckedService;
  readonly expectations: Expectations;
  /** The secret of the first key, `current`. */
  readonly first: RotatedSecret;
  /** The key entries of a configuration that reads these secrets. */
  keysOf(...ids: readonly string[]): readonly object[];
  reasonOf(secret: RotatedSecret): Promise<string>;
  /** Waits until a new key verifies a token; from then on it must verify every one. */
  awaitAccepted(secret: RotatedSecret): Promise<void>;
  /** Removes a key and waits until it verifies no token; from then on it must verify none, cached or not. */
  awaitRefused(secret: RotatedSecret, remove: () => void): Promise<void>;
  /** Stops sending tokens of the old secret, and waits until the metrics show only the new key in use. */
  awaitUnused(oldId: string, newId: string, secret: RotatedSecret): Promise<void>;
  /** Waits until the load has received this number of further answers. */
  awaitAnswers(count: number): Promise<void>;
  /** Ends the load, and returns what was wrong with its answers. */
  stopLoad(): Promise<LoadReport>;
  stop(): Promise<void>;
}

export async function startRotatingService(name: string): Promise<RotatingService> {
  const scratch = createScratch(name);
  const first = createSecret();
  const keysOf: RotatingService['keysOf'] = (...ids) =>
    ids.map((id) => ({ id, secretFile: scratch.path(id) }));
  scratch.write('current', first.base64);
  const service = await startChecked(scratch, { keys: keysOf('current') });
  const expectations: Expectations = new Map([
    [first, 'ok'],
    [createSecret(), 'invalid_token_signature'],
  ]);
  const load = startLoad(service.grpc, expectations);
  const reasonOf = (secret: RotatedSecret) => service.reasonOf(freshToken({}, { secret: secret.bytes }));
  const verifications = async (id: string) =>
    (await service.metric(`approov_key_verifications_total{key_id="${id}"}`)) ?? Number.NaN;
  const lastUsed = (id: string) => service.metric(`approov_key_last_used_timestamp_seconds{key_id="${id}"}`);
  return {
    scratch,
    service,
    expectations,
    first,
    keysOf,
    reasonOf,
    async awaitAccepted(secret) {
      await vi.waitFor(async () => expect(await reasonOf(secret)).toBe('ok'), RELOAD);
      expectations.set(secret, 'ok');
    },
    async awaitRefused(secret, remove) {
      for (const token of secret.tokens) expect(await service.reasonOf(token)).toBe('ok');
      expectations.delete(secret);
      remove();
      await vi.waitFor(async () => expect(await reasonOf(secret)).toBe('invalid_token_signature'), RELOAD);
      expectations.set(secret, 'invalid_token_signature');
      for (const token of secret.tokens) {
        expect(await service.reasonOf(token)).toBe('invalid_token_signature');
      }
    },
    async awaitUnused(oldId, newId, secret) {
      const expectation = expectations.get(secret);
      expectations.delete(secret);
      await vi.waitFor(async () => {
        const [oldBefore, newBefore] = [await verifications(oldId), await verifications(newId)];
        await sleep(100);
        expect(await verifications(oldId)).toBe(oldBefore);
        expect(await verifications(newId)).toBeGreaterThan(newBefore);
      }, RELOAD);
      expect(await lastUsed(oldId)).toBeLessThan((await lastUsed(newId)) ?? 0);
      if (expectation !== undefined) expectations.set(secret, expectation);
    },
    async awaitAnswers(count) {
      const goal = load.report.answered + count;
      await vi.waitFor(() => expect(load.report.answered).toBeGreaterThanOrEqual(goal), RELOAD);
    },
    stopLoad: load.stop,
    async stop() {
      await load.stop();
      await service.kill();
      scratch.remove();
    },
  };
}

interface LoadOfTokens {
  /** So far. */
  readonly report: Readonly<LoadReport>;
  stop(): Promise<LoadReport>;
}

/** Sends tokens of every secret with an expectation, on several connections, until stopped. */
function startLoad(grpc: string, expectations: Expectations): LoadOfTokens {
  const report: LoadReport = { answered: 0, wrong: [], failed: [] };
  const clients = Array.from({ length: CLIENTS }, () => createCheckClient(grpc));
  let isStopped = false;
  const run = async (client: (typeof clients)[number]): Promise<void> => {
    for (let turn = 0; !isStopped; turn++) {
      const [secret, expected] = [...expectations][turn % expectations.size] ?? [];
      const cached = secret?.tokens[turn % 4] ?? '';
      const token = turn % 3 === 0 && secret ? freshToken({}, { secret: secret.bytes }) : cached;
      const reason = await client
        .check(requestWith({ 'approov-token': token }))
        .then((answer) => metadataOf(answer)['approov_reason'])
        .catch((error: Error) => void report.failed.push(error.message));
      report.answered += 1;
      // The expectation may have been withdrawn while the call was in flight.
      const isCertain = secret !== undefined && expectations.get(secret) === expected;
      if (reason !== undefined && isCertain && reason !== expected)
        report.wrong.push(`${reason}, not ${expected}`);
      await sleep(PAUSE_MS);
    }
  };
  const runs = clients.map(run);
  return {
    report,
    async stop() {
      isStopped = true;
      await Promise.all(runs);
      for (const client of clients) client.close();
      return report;
    },
  };
}
