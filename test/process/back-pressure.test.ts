/** Tests the limits, and that slow or silent peers cost bounded memory and do not delay other clients. */
import { once } from 'node:events';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { type ClientHttp2Session, type ClientHttp2Stream, connect as connectHttp2 } from 'node:http2';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { gzipSync } from 'node:zlib';
import { status } from '@grpc/grpc-js';
import { afterAll, beforeAll, describe, expect, test, vi } from 'vitest';
import { PATIENCE } from '../support/patience.ts';
import { type RunningService, startServe } from '../support/process.ts';
import {
  CHECK_HEADERS,
  CHECK_PATH,
  connectRaw,
  EMPTY_MESSAGE,
  FLAG,
  FRAME,
  frame,
  headersFrames,
  PREFACE,
  type RawPeer,
  SETTINGS,
  streamNumber,
  times,
} from '../support/raw-http2.ts';
import { freshToken, SECRET } from '../support/token.ts';
import { checkMessage, type Watch, watchService } from '../support/watch.ts';

const MIB = 2 ** 20;
const CONNECTIONS = 300;
const STREAMS = 500;
const MESSAGE_BYTES = 100_000;
const HEADER_BYTES = 8192;
/** Far above what an attack costs, and far below what it would cost if all its bytes or calls were kept. */
const MEMORY_BOUND = 128 * MIB;
/** RFC 9113 §7. */
const REFUSED_STREAM = 7;
const CANCEL = 8;

const folder = mkdtempSync(join(tmpdir(), 'back-pressure-'));
let service: RunningService;
let watch: Watch;

beforeAll(async () => {
  service = await start(
    `limits: {connections: ${CONNECTIONS}, messageBytes: ${MESSAGE_BYTES}, grpcMetadataBytes: ${HEADER_BYTES}}\n` +
      `connection: {maxConcurrentStreams: ${STREAMS}}\n`,
  );
  watch = watchService(service);
});
afterAll(async () => {
  await service.kill();
  rmSync(folder, { recursive: true });
});

async function start(config: string): Promise<RunningService> {
  const file = join(folder, 'config.yaml');
  writeFileSync(file, config);
  return startServe({ APPROOV_BASE64_SECRET: SECRET }, ['--config', file]);
}

/** Opens a Check call without sending its message. */
function openCall(
  session: ClientHttp2Session,
  headers: Readonly<Record<string, string>> = {},
): ClientHttp2Stream {
  const all = {
    ':method': 'POST',
    ':path': CHECK_PATH,
    'content-type': 'application/grpc',
    te: 'trailers',
    ...headers,
  };
  return session.request(all).on('error', () => undefined);
}

async function connectClient(): Promise<ClientHttp2Session> {
  const session = connectHttp2(`http://${service.grpc}`).on('error', () => undefined);
  await once(session, 'connect');
  return session;
}

/** A length-prefixed gRPC message. */
function framed(message: Buffer, { isCompressed = false, bytes = message.length } = {}): Buffer {
  const head = Buffer.alloc(5);
  head[0] = isCompressed ? 1 : 0;
  head.writeUInt32BE(bytes, 1);
  return Buffer.concat([head, message]);
}

/** The gRPC status of a call. */
async function grpcStatusOf(call: ClientHttp2Stream): Promise<number> {
  call.resume();
  return new Promise((resolve) => {
    const onHeaders = (headers: object): void => {
      const value = (headers as Record<string, unknown>)['grpc-status'];
      if (value !== undefined) resolve(Number(value));
    };
    call.on('response', onHeaders).on('trailers', onHeaders);
  });
}

const reset = (stream: number): Buffer => frame(FRAME.rstStream, 0, stream, Buffer.of(0, 0, 0, CANCEL));

describe('the limit', () => {
  test('of concurrent streams refuses one more with REFUSED_STREAM, and open ones are answered', async () => {
    const peer = await connectRaw(service.grpc);
    await peer.write(
      PREFACE,
      SETTINGS,
      // In one write, because calls without a message end after 5 s.
      Buffer.concat([
        times(STREAMS + 1, (index) => headersFrames(streamNumber(index), CHECK_HEADERS)),
        frame(FRAME.data, FLAG.endStream, 1, EMPTY_MESSAGE),
      ]),
    );
    await vi.waitFor(() => {
      const resets = peer
        .received(FRAME.rstStream)
        .map(({ stream, payload }) => [stream, payload.readUInt32BE()]);
      expect(resets).toEqual([[streamNumber(STREAMS), REFUSED_STREAM]]);
    }, PATIENCE);
    await vi.waitFor(() => expect(peer.received(FRAME.data)).toMatchObject([{ stream: 1 }]), PATIENCE);
    peer.destroy();
    await vi.waitFor(async () => expect(await watch.inFlight()).toBe(0), PATIENCE);
  });

  test('of message bytes applies to the announced length, and compressed messages are never decompressed', async () => {
    const session = await connectClient();
    const announced = openCall(session);
    announced.write(framed(Buffer.alloc(0), { bytes: 2 ** 32 - 1 }));
    expect(await grpcStatusOf(announced)).toBe(status.RESOURCE_EXHAUSTED);
    const before = await watch.memory();
    const compressed = gzipSync(Buffer.alloc(80 * MIB));
    expect(compressed.length).toBeLessThan(MESSAGE_BYTES);
    const bombs = Array.from({ length: 10 }, () => openCall(session, { 'grpc-encoding': 'gzip' }));
    for (const bomb of bombs) bomb.end(framed(compressed, { isCompressed: true }));
    const statuses = await Promise.all(bombs.map(grpcStatusOf));
    expect(new Set(statuses)).toEqual(new Set([status.UNIMPLEMENTED]));
    expect((await watch.memory()) - before).toBeLessThan(MEMORY_BOUND);
    session.destroy();
  });

  test.each([
    ['below the limit is answered', HEADER_BYTES - 1000, status.OK],
    ['above it is RESOURCE_EXHAUSTED', HEADER_BYTES, status.RESOURCE_EXHAUSTED],
  ])('of header bytes: a call with headers %s', async (_name, bytes, expected) => {
    const session = await connectClient();
    const call = openCall(session, { 'x-long': 'a'.repeat(bytes) });
    call.end(EMPTY_MESSAGE);
    expect(await grpcStatusOf(call)).toBe(expected);
    session.destroy();
  });

  test('of header bytes applies before the message arrives', async () => {
    const session = await connectClient();
    const call = openCall(session, { 'x-long': 'a'.repeat(HEADER_BYTES) });
    expect(await grpcStatusOf(call)).toBe(status.RESOURCE_EXHAUSTED);
    session.destroy();
  });

  test('of connections applies to each of several workers', async () => {
    const many = await start('{workers: 2, limits: {connections: 1}}');
    const peers = await Promise.all(Array.from({ length: 6 }, () => connectRaw(many.grpc)));
    try {
      await vi.waitFor(
        () => expect(peers.filter(({ isClosed }) => isClosed).length).toBeGreaterThanOrEqual(4),
        PATIENCE,
      );
    } finally {
      for (const peer of peers) peer.destroy();
      await many.kill();
    }
  });
});

describe('an abandoned call', () => {
  test('is counted by deadline, whether its message arrives late or never', async () => {
    const before = await watch.cancelled('deadline');
    const session = await connectClient();
    const never = openCall(session, { 'grpc-timeout': '1m' });
    expect(await grpcStatusOf(never)).toBe(status.DEADLINE_EXCEEDED);
    const late = openCall(session, { 'grpc-timeout': '0n' });
    late.end(EMPTY_MESSAGE);
    expect(await grpcStatusOf(late)).toBe(status.DEADLINE_EXCEEDED);
    await vi.waitFor(async () => expect(await watch.cancelled('deadline')).toBe(before + 2), PATIENCE);
    session.destroy();
  });

  test('is counted once by cancellation, even if it is reset in the packet that opens it', async () => {
    const before = await watch.cancelled('cancelled');
    const peer = await connectRaw(service.grpc);
    await peer.write(PREFACE, SETTINGS);
    for (let index = 0; index < 100; index++) {
      await peer.write(
        Buffer.concat([headersFrames(streamNumber(index), CHECK_HEADERS), reset(streamNumber(index))]),
      );
    }
    for (let index = 100; index < 200; index++) {
      await peer.write(headersFrames(streamNumber(index), CHECK_HEADERS));
      await peer.write(reset(streamNumber(index)));
    }
    await vi.waitFor(async () => expect(await watch.cancelled('cancelled')).toBe(before + 200), PATIENCE);
    expect(await watch.inFlight()).toBe(0);
    peer.destroy();
  });

  test('whose connection closes is not in flight, even if its answer was never read', async () => {
    const peer = await connectRaw(service.grpc);
    const SETTING_NO_WINDOW = Buffer.of(0, 4, 0, 0, 0, 0);
    await peer.write(PREFACE, frame(FRAME.settings, 0, 0, SETTING_NO_WINDOW));
    await peer.write(
      times(STREAMS, (index) =>
        Buffer.concat([
          headersFrames(streamNumber(index), CHECK_HEADERS),
          frame(FRAME.data, FLAG.endStream, streamNumber(index), EMPTY_MESSAGE),
        ]),
      ),
    );
    await vi.waitFor(() => expect(peer.received(FRAME.headers)).toHaveLength(STREAMS), PATIENCE);
    expect(await watch.inFlight()).toBe(STREAMS);
    peer.destroy();
    await vi.waitFor(async () => expect(await watch.inFlight()).toBe(0), PATIENCE);
  });
});

describe('a slow peer', () => {
  test('that sends its message byte by byte is answered, and does not delay other clients', async () => {
    const message = framed(checkMessage({ 'approov-token': freshToken() }));
    const peer = await connectRaw(service.grpc);
    const reasons = await watch.reasonsDuring(async () => {
      await peer.write(PREFACE, SETTINGS, headersFrames(1, CHECK_HEADERS));
      // A few writes, because the message has to be complete within 5 s.
      for (let from = 0; from < message.length; from += 100) {
        const bytes = [...message.subarray(from, from + 100)];
        await peer.write(Buffer.concat(bytes.map((byte) => frame(FRAME.data, 0, 1, Buffer.of(byte)))));
      }
      await peer.write(frame(FRAME.data, FLAG.endStream, 1));
      await vi.waitFor(() => expect(peer.received(FRAME.data)).toHaveLength(1), PATIENCE);
    });
    expect(reasons).toEqual(new Set(['ok']));
    expect(peer.received(FRAME.data)[0]?.payload.includes('verified')).toBe(true);
    peer.destroy();
  });

  test('that stops in the middle of many messages costs bounded memory for 5 s', async () => {
    const before = await watch.memory();
    const abandonedBefore = await watch.cancelled('cancelled');
    const peer = await connectRaw(service.grpc);
    await peer.write(PREFACE, SETTINGS, frame(FRAME.settings, FLAG.ack, 0));
    const reasons = await watch.reasonsDuring(async () => {
      const half = framed(Buffer.alloc(8000), { bytes: MESSAGE_BYTES });
      const batch = STREAMS / 5;
      for (let from = 0; from < STREAMS; from += batch) {
        await peer.write(
          times(batch, (offset) => {
            const stream = streamNumber(from + offset);
            return Buffer.concat([headersFrames(stream, CHECK_HEADERS), frame(FRAME.data, 0, stream, half)]);
          }),
        );
        // Its answer shows that the window of the connection is open again.
        const pings = peer.received(FRAME.ping).length;
        await peer.write(frame(FRAME.ping, 0, 0, Buffer.alloc(8)));
        await peer.until(() => peer.received(FRAME.ping).length > pings);
      }
      expect(peer.isClosed).toBe(false);
    });
    expect(reasons).toEqual(new Set(['ok']));
    expect((await watch.memory()) - before).toBeLessThan(MEMORY_BOUND);
    await vi.waitFor(() => {
      const answers = peer.received(FRAME.headers).length;
      const resets = peer.received(FRAME.rstStream).length;
      expect({ answers, resets }).toEqual({ answers: STREAMS, resets: STREAMS });
    }, PATIENCE);
    expect(peer.isClosed).toBe(false);
    await vi.waitFor(async () => expect(await watch.inFlight()).toBe(0), PATIENCE);
    expect(await watch.cancelled('cancelled')).toBe(abandonedBefore + STREAMS);
    peer.destroy();
  });

  test.each([
    ['nothing', Buffer.alloc(0)],
    ['the preface only', PREFACE],
    ['the preface and its settings', Buffer.concat([PREFACE, SETTINGS])],
  ])('that sends %s on 100 connections does not delay other clients', async (_name, bytes) => {
    const before = await watch.memory();
    const peers: RawPeer[] = [];
    const reasons = await watch.reasonsDuring(async () => {
      for (let count = 0; count < 100; count++) {
        const peer = await connectRaw(service.grpc);
        await peer.write(bytes);
        peers.push(peer);
      }
    });
    expect(reasons).toEqual(new Set(['ok']));
    expect((await watch.memory()) - before).toBeLessThan(MEMORY_BOUND);
    for (const peer of peers) peer.destroy();
  });
});
