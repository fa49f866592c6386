/** Tests that running services refuse replays: one by itself, and replicas that share a real Redis server. */
import { randomUUID } from 'node:crypto';
import { afterAll, beforeAll, describe, expect, test, vi } from 'vitest';
import { readReadyz } from '../support/admin-pages.ts';
import { type CheckedService, createScratch, startChecked } from '../support/checked-service.ts';
import { type CheckClient, createCheckClient, metadataOf, requestWith } from '../support/grpc-client.ts';
import { CLAIMS } from '../support/message-signature.ts';
import { PATIENCE } from '../support/patience.ts';
import { REDIS, type RunningRedis, startRedis } from '../support/redis.ts';
import { unmet } from '../support/requirement.ts';
import { signHeaders } from '../support/signed-check.ts';
import { freshToken, SECRET } from '../support/token.ts';

const skipped = await unmet([REDIS], 'that replicas with a Redis server refuse replays');
const scratch = createScratch('message-replays');
const keys = [{ id: 'current', secretFile: scratch.write('secret', SECRET) }];
afterAll(() => scratch.remove());

type Headers = Readonly<Record<string, string>>;

function signedNow(): Headers {
  const created = Math.floor(Date.now() / 1000);
  return signHeaders({ token: freshToken(CLAIMS), created, expires: created + 300 });
}

/** @param id Envoy's id of the request. */
async function reasonOf(client: CheckClient, headers: Headers, id: string = randomUUID()): Promise<string> {
  return String(metadataOf(await client.check(requestWith(headers, { id })))['approov_reason']);
}

/** Few at a time, so that no answer of the store takes longer than its deadline. */
async function reasonsOf(client: CheckClient, sent: readonly Headers[]): Promise<ReadonlySet<string>> {
  const reasons = new Set<string>();
  for (let at = 0; at < sent.length; at += 50) {
    const batch = sent.slice(at, at + 50);
    for (const reason of await Promise.all(batch.map((headers) => reasonOf(client, headers))))
      reasons.add(reason);
  }
  return reasons;
}

describe('a service with replay: per-instance', () => {
  let service: CheckedService;
  let client: CheckClient;
  beforeAll(async () => {
    const policies = { default: { messageSignature: { replay: 'per-instance' } } };
    service = await startChecked(scratch, { keys, policies });
    client = createCheckClient(service.grpc);
  });
  afterAll(async () => {
    client?.close();
    await service?.kill();
  });

  test('refuses the second request with a signature, but not a retry of the first', async () => {
    const headers = signedNow();
    const id = randomUUID();
    expect(await reasonOf(client, headers, id)).toBe('ok');
    expect(await reasonOf(client, headers, id)).toBe('ok');
    expect(await reasonOf(client, headers)).toBe('message_replayed');
    expect(await reasonOf(client, headers, '')).toBe('message_replayed');
  });

  test('does not record a request that it refuses for another reason', async () => {
    const headers = signedNow();
    const elsewhere = requestWith(headers, { id: randomUUID(), path: '/elsewhere' });
    expect(metadataOf(await client.check(elsewhere))['approov_reason']).toBe('invalid_message_signature');
    expect(await reasonOf(client, headers)).toBe('ok');
  });

  test('allows 1,000 identical requests that are signed one by one', async () => {
    const sent = Array.from({ length: 1000 }, signedNow);
    expect(await reasonsOf(client, sent)).toEqual(new Set(['ok']));
  });
});

describe.skipIf(skipped !== '')(`two replicas with one Redis server${skipped}`, () => {
  let redis: RunningRedis;
  let services: readonly CheckedService[];
  let clients: readonly [CheckClient, CheckClient];
  beforeAll(async () => {
    redis = await startRedis();
    const start = (name: string) =>
      startChecked(createScratchIn(name), {
        keys,
        // Without a tolerance, a store that has just started remembers enough after 2 s.
        policies: { default: { messageSignature: { replay: 'shared', clockToleranceSeconds: 0 } } },
        // Longer than a busy machine delays an answer: a deadline that passes would be an internal_error.
        replayStore: { url: redis.url, timeoutMs: 1000, onError: 'deny' },
      });
    services = await Promise.all([start('one'), start('other')]);
    clients = services.map(({ grpc }) => createCheckClient(grpc)) as unknown as typeof clients;
    await vi.waitFor(async () => expect(await reasonOf(clients[0], signedNow())).toBe('ok'), PATIENCE);
    await vi.waitFor(async () => expect(await reasonOf(clients[1], signedNow())).toBe('ok'), PATIENCE);
  });
  afterAll(async () => {
    for (const client of clients ?? []) client.close();
    for (const service of services ?? []) await service.kill();
    await redis?.stop();
  });

  test('allow none of 500 signed requests again at the other replica', async () => {
    const sent = Array.from({ length: 500 }, signedNow);
    expect(await reasonsOf(clients[0], sent)).toEqual(new Set(['ok']));
    expect(await reasonsOf(clients[1], sent)).toEqual(new Set(['message_replayed']));
  });

  test("allow Envoy's retry of a request at the other replica", async () => {
    const headers = signedNow();
    const id = randomUUID();
    expect(await reasonOf(clients[0], headers, id)).toBe('ok');
    expect(await reasonOf(clients[1], headers, id)).toBe('ok');
  });

  test('under onError: deny, refuse what a server that is down or was restarted cannot know, and stay ready', async () => {
    const [service] = services as [CheckedService];
    expect(await readReadyz(service.admin)).toMatchObject({ components: { replay_store: 'connected' } });
    await redis.kill();
    expect(await reasonOf(clients[0], signedNow())).toBe('internal_error');
    expect(await service.reasonOf(freshToken())).toBe('ok');
    const states = { replay_store: expect.stringMatching(/^disconnected/) };
    await vi.waitFor(
      async () => expect(await readReadyz(service.admin)).toMatchObject({ status: 200, components: states }),
      PATIENCE,
    );
    expect(await service.metric('approov_replay_store_errors_total')).toBeGreaterThanOrEqual(1);

    // The server is back, and remembers nothing of before.
    await redis.start();
    const before = signedNow();
    await vi.waitFor(async () => expect(await reasonOf(clients[0], signedNow())).toBe('ok'), PATIENCE);
    expect(await reasonOf(clients[0], before)).toBe('internal_error');
  });
});

/** Each replica has a configuration file of its own. */
function createScratchIn(name: string): ReturnType<typeof createScratch> {
  return createScratch(`message-replays-${name}`);
}
