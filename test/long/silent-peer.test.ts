/** Tests that connections with a dead peer, or closed by a protocol error, are destroyed within two minutes. */
import { afterAll, beforeAll, expect, test, vi } from 'vitest';
import { type RunningService, startServe } from '../support/process.ts';
import {
  CHECK_HEADERS,
  checkHeaders,
  connectRaw,
  headersFrames,
  PREFACE,
  type RawPeer,
  SETTINGS,
} from '../support/raw-http2.ts';
import { SECRET } from '../support/token.ts';
import { watchService } from '../support/watch.ts';

const TWO_MINUTES = { timeout: 120_000, interval: 500 };

let service: RunningService;

beforeAll(async () => {
  service = await startServe({ APPROOV_BASE64_SECRET: SECRET });
});
afterAll(() => service.kill());

async function connectAll(count: number, bytes: Buffer): Promise<RawPeer[]> {
  const peers = await Promise.all(Array.from({ length: count }, () => connectRaw(service.grpc)));
  for (const peer of peers) await peer.write(bytes);
  return peers;
}

test('connections of peers that are or become silent are closed', { timeout: 180_000 }, async () => {
  const peers = [
    ...(await connectAll(5, Buffer.alloc(0))),
    ...(await connectAll(5, PREFACE)),
    ...(await connectAll(5, Buffer.concat([PREFACE, SETTINGS, headersFrames(1, CHECK_HEADERS)]))),
  ];
  expect(peers.some(({ isClosed }) => isClosed)).toBe(false);
  await vi.waitFor(() => expect(peers.every(({ isClosed }) => isClosed)).toBe(true), TWO_MINUTES);
  expect(await watchService(service).inFlight()).toBe(0);
});

test('connections that a protocol error has ended, but Node keeps, are destroyed', {
  timeout: 180_000,
}, async () => {
  const before = await watchService(service).openFiles();
  const call = headersFrames(1, CHECK_HEADERS);
  const tooLong = headersFrames(3, checkHeaders({ x: 'a'.repeat(200_000) }));
  const peers = await connectAll(10, Buffer.concat([PREFACE, SETTINGS, call, tooLong]));
  for (const peer of peers) peer.destroy();
  await vi.waitFor(
    async () => expect(await watchService(service).openFiles()).toBeLessThanOrEqual(before),
    TWO_MINUTES,
  );
  expect(await watchService(service).inFlight()).toBe(0);
});
