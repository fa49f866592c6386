/** Tests that HTTP/2 attacks and malformed bytes affect no connection but their own. */
import { randomBytes } from 'node:crypto';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test, vi } from 'vitest';
import { PATIENCE } from '../support/patience.ts';
import { type RunningService, startServe } from '../support/process.ts';
import {
  CHECK_HEADERS,
  checkHeaders,
  connectRaw,
  FRAME,
  frame,
  headersFrames,
  literal,
  PREFACE,
  type RawPeer,
  SETTINGS,
  streamNumber,
  times,
} from '../support/raw-http2.ts';
import { SECRET } from '../support/token.ts';
import { TRANSPORT } from '../support/transport.ts';
import { unexpectedWarnings, type Watch, watchService } from '../support/watch.ts';

const STREAMS = 500;
const THOUSAND = 1000;
/** Frames in a flood. */
const FLOOD = 20 * THOUSAND;
/** Far above what an attack costs, and far below what it would cost if all its bytes were kept. */
const MEMORY_BOUND = 128 * 2 ** 20;

const folder = mkdtempSync(join(tmpdir(), 'hostile-'));
const config = join(folder, 'config.yaml');
/** On Node 20 a connection with a protocol error is closed after 20 s of silence. */
const CLOSING = { timeout: 60_000, interval: 500 };

let service: RunningService;
let watch: Watch;
let openFiles: number;

beforeAll(async () => {
  writeFileSync(
    config,
    `{connection: {maxConcurrentStreams: ${STREAMS}}, drain: {delaySeconds: 0, timeoutSeconds: 1}}`,
  );
  service = await startServe({ APPROOV_BASE64_SECRET: SECRET }, ['--config', config]);
  watch = watchService(service);
  openFiles = await watch.openFiles();
});
afterAll(async () => {
  await service.kill();
  rmSync(folder, { recursive: true });
});

interface Attack {
  readonly name: string;
  /** What happens to its connection; `either` where that depends on how many frames arrive at a time. */
  readonly end: 'ended' | 'kept' | 'either';
  /** Called after preface and SETTINGS. */
  readonly send: (peer: RawPeer) => Promise<void>;
}

const RESET = Buffer.of(0, 0, 0, 8);
const OPAQUE = Buffer.alloc(8, 'opaque');
const EMPTY = Buffer.alloc(0);
/** A field of 3.9 kB, and 16,000 references to it: 62 MB of headers in 20 kB. */
const HEADER_BOMB = Buffer.concat([
  CHECK_HEADERS,
  Buffer.of(0x40),
  literal('x'),
  literal('a'.repeat(3900)),
  Buffer.alloc(16_000, 0xbe),
]);

/** 256 calls held open, each with 62 kB of headers in 100 bytes: the HTTP/2 bomb (CVE-2026-49975). */
const HELD_BOMBS = Buffer.concat([
  headersFrames(1, Buffer.concat([CHECK_HEADERS, Buffer.of(0x40), literal('x'), literal('a'.repeat(3900))])),
  times(255, (index) =>
    headersFrames(streamNumber(index + 1), Buffer.concat([CHECK_HEADERS, Buffer.alloc(15, 0xbe)])),
  ),
]);

/** Thousands of frames, all alike or each for a new stream. */
function flood(make: (stream: number) => Buffer): Attack['send'] {
  return async (peer) => {
    for (let from = 0; from < FLOOD; from += THOUSAND) {
      await peer.write(times(THOUSAND, (index) => make(streamNumber(from + index))));
    }
  };
}

function after(first: Buffer, send: Attack['send']): Attack['send'] {
  return async (peer) => {
    await peer.write(first);
    await send(peer);
  };
}

/** Sends without reading any response. */
function unread(send: Attack['send']): Attack['send'] {
  return async (peer) => {
    peer.stopReading();
    await send(peer);
  };
}

const pings = flood(() => frame(FRAME.ping, 0, 0, OPAQUE));
const settings = flood(() => SETTINGS);
/** The same frame until the connection is closed. */
function endless(one: Buffer): Attack['send'] {
  const many = times(5 * THOUSAND, () => one);
  return async (peer) => {
    while (!peer.isClosed) await peer.write(many);
  };
}

const unfinishedHeaders = frame(FRAME.headers, 0, 1, CHECK_HEADERS);

const ATTACKS: readonly Attack[] = [
  { name: 'garbage instead of frames', end: 'ended', send: (peer) => peer.write(randomBytes(2 ** 20)) },
  {
    name: `${FLOOD} calls without messages`,
    end: 'ended',
    send: flood((stream) => headersFrames(stream, CHECK_HEADERS)),
  },
  {
    name: `${FLOOD} calls that it resets at once (rapid reset)`,
    end: 'ended',
    send: flood((stream) =>
      Buffer.concat([headersFrames(stream, CHECK_HEADERS), frame(FRAME.rstStream, 0, stream, RESET)]),
    ),
  },
  {
    name: 'an endless header block (CONTINUATION flood)',
    end: 'ended',
    send: after(
      unfinishedHeaders,
      flood(() => frame(FRAME.continuation, 0, 1, Buffer.concat([Buffer.of(0), literal('x'), literal('y')]))),
    ),
  },
  {
    name: 'endless empty CONTINUATION frames',
    end: 'ended',
    send: after(
      unfinishedHeaders,
      flood(() => frame(FRAME.continuation, 0, 1, EMPTY)),
    ),
  },
  {
    name: 'a header of 200 kB',
    end: 'ended',
    send: (peer) => peer.write(headersFrames(1, checkHeaders({ x: 'a'.repeat(200_000) }))),
  },
  {
    name: 'headers that decompress to 62 MB (HPACK bomb)',
    end: TRANSPORT === 'lean' ? 'ended' : 'kept',
    send: (peer) => peer.write(headersFrames(1, HEADER_BOMB)),
  },
  {
    name: 'calls with 62 kB of headers each that it holds open',
    end: 'kept',
    send: (peer) => peer.write(HELD_BOMBS),
  },
  {
    name: 'empty DATA frames',
    end: 'ended',
    send: after(
      headersFrames(1, CHECK_HEADERS),
      flood(() => frame(FRAME.data, 0, 1, EMPTY)),
    ),
  },
  {
    name: 'a message in endless DATA frames of one byte',
    end: 'ended',
    send: after(
      Buffer.concat([headersFrames(1, CHECK_HEADERS), frame(FRAME.data, 0, 1, Buffer.of(0, 0, 3, 255, 255))]),
      endless(frame(FRAME.data, 0, 1, Buffer.alloc(1))),
    ),
  },
  {
    name: 'endless PRIORITY frames',
    end: 'ended',
    send: endless(frame(FRAME.priority, 0, 1, Buffer.alloc(5))),
  },
  { name: 'endless frames of an unknown type', end: 'ended', send: endless(frame(0xbb, 0, 0, OPAQUE)) },
  {
    name: 'endless WINDOW_UPDATEs',
    end: 'ended',
    send: endless(frame(FRAME.windowUpdate, 0, 0, Buffer.of(0, 0, 0, 1))),
  },
  { name: 'PINGs', end: 'either', send: pings },
  { name: 'PINGs without reading the responses', end: 'either', send: unread(pings) },
  { name: 'SETTINGS', end: 'either', send: settings },
  { name: 'SETTINGS without reading the responses', end: 'either', send: unread(settings) },
  {
    name: 'WINDOW_UPDATEs',
    end: TRANSPORT === 'lean' ? 'ended' : 'kept',
    send: flood(() => frame(FRAME.windowUpdate, 0, 0, Buffer.of(0, 0, 0, 1))),
  },
];

async function expectEnd(peer: RawPeer, end: Attack['end']): Promise<void> {
  if (end === 'either') return;
  if (end === 'kept') await peer.write(frame(FRAME.ping, 0, 0, OPAQUE));
  await vi.waitFor(() => {
    if (end === 'kept') expect(peer.received(FRAME.ping)).toHaveLength(1);
    // A TCP reset may overtake the GOAWAY.
    else expect(peer.isClosed || peer.received(FRAME.goaway).length > 0).toBe(true);
  }, PATIENCE);
}

describe('a peer that sends', () => {
  test.each(ATTACKS.map((attack) => [attack.name, attack] as const))(
    '%s does not affect other clients',
    async (_name, { end, send }) => {
      const before = await watch.memory();
      const peer = await connectRaw(service.grpc);
      const reasons = await watch.reasonsDuring(async () => {
        await peer.write(PREFACE, SETTINGS);
        await send(peer);
        await expectEnd(peer, end);
      });
      expect(reasons).toEqual(new Set(['ok']));
      expect(await watch.inFlight()).toBeLessThanOrEqual(STREAMS);
      expect((await watch.memory()) - before).toBeLessThan(MEMORY_BOUND);
      peer.destroy();
    },
  );

  test('something other than HTTP/2 is disconnected and does not affect other clients', async () => {
    const reasons = await watch.reasonsDuring(async () => {
      for (const bytes of [randomBytes(2 ** 20), Buffer.from('GET / HTTP/1.1\r\nhost: x\r\n\r\n')]) {
        const peer = await connectRaw(service.grpc);
        await peer.write(bytes);
        await vi.waitFor(() => expect(peer.isClosed).toBe(true), PATIENCE);
      }
    });
    expect(reasons).toEqual(new Set(['ok']));
  });
});

test('closed connections release their file descriptors', async () => {
  await vi.waitFor(async () => expect(await watch.openFiles()).toBeLessThanOrEqual(openFiles), CLOSING);
  expect(await watch.inFlight()).toBe(0);
});

test('the service drains and exits 0 with broken connections open', async () => {
  const peers: RawPeer[] = [];
  for (const { send } of ATTACKS) {
    const peer = await connectRaw(service.grpc);
    await peer.write(PREFACE, SETTINGS);
    await send(peer);
    peers.push(peer);
  }
  service.signal('SIGTERM');
  expect(await service.ended).toBe(0);
  expect(unexpectedWarnings(service, TRANSPORT)).toEqual([]);
  for (const peer of peers) peer.destroy();
});
