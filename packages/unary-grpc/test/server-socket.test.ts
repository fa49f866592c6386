/** Tests when a socket is closed as time passes. A tick is a quarter of a second. */
import type { Socket } from 'node:net';
import { Duplex } from 'node:stream';
import { setImmediate as nextTurn } from 'node:timers/promises';
import { describe, expect, test } from 'vitest';
import { encodeFields } from '../src/hpack/encoder.ts';
import { FLAG, FRAME } from '../src/http2/frames.ts';
import { type UnaryServerOptions, withDefaults } from '../src/options.ts';
import { ServerSocket } from '../src/server-socket.ts';
import {
  CALL_FIELDS,
  call,
  frame,
  headers,
  PREFACE,
  parseFrames,
  ping,
  SETTINGS,
  SETTINGS_ACK,
} from './support/frames.ts';

const SECOND = 4;
const OPENING = Buffer.concat([PREFACE, SETTINGS, SETTINGS_ACK]);

class Peer {
  readonly connection: ServerSocket;
  readonly reasons: string[] = [];
  readonly #written: Buffer[] = [];
  readonly #socket: Duplex;

  /** @param reads whether the peer reads what is written to it. */
  constructor(options: Partial<UnaryServerOptions> = {}, reads = true) {
    this.#socket = new Duplex({
      read: () => undefined,
      write: (bytes: Buffer, _encoding, done) => {
        // The buffer is used again once it is written.
        this.#written.push(Buffer.from(bytes));
        if (reads) done();
      },
    });
    const methods = new Map([['/test.Echo/Echo', { handle: (bytes: Buffer) => bytes }]]);
    const onConnectionError = (reason: string) => void this.reasons.push(reason);
    const settings = withDefaults({ methods, onConnectionError, ...options });
    this.connection = new ServerSocket(this.#socket as Socket, settings, () => undefined);
  }

  send(...parts: readonly Buffer[]): void {
    this.#socket.emit('data', Buffer.concat(parts));
  }

  /** Lets time pass. */
  tick(count: number): void {
    for (let index = 0; index < count; index++) this.connection.tick();
  }

  /** Lets time pass until the socket is destroyed. @returns the ticks that it took. */
  ticksUntilDestroyed(): number {
    for (let count = 1; count < 1000; count++) {
      this.connection.tick();
      if (this.isDestroyed) return count;
    }
    return Number.POSITIVE_INFINITY;
  }

  get isDestroyed(): boolean {
    return this.#socket.destroyed;
  }

  get isPaused(): boolean {
    return this.#socket.isPaused();
  }

  get hasEnded(): boolean {
    return this.#socket.writableEnded;
  }

  types(): string[] {
    return parseFrames(Buffer.concat(this.#written)).map(({ type }) => type);
  }
}

describe('a connection is closed', () => {
  test.each([
    ['sends nothing', Buffer.alloc(0)],
    ['sends a part of the preface', PREFACE.subarray(0, 23)],
    ['sends the preface without SETTINGS', PREFACE],
  ])('after 5 s if its client %s', (_what, bytes) => {
    const peer = new Peer();
    peer.send(bytes);
    expect(peer.ticksUntilDestroyed()).toBe(5 * SECOND + 1);
  });

  test('a connection is closed 5 s after a header block began that does not end', () => {
    const peer = new Peer();
    peer.send(OPENING);
    peer.tick(8 * SECOND);
    peer.send(frame(FRAME.HEADERS, 0, 1, encodeFields(CALL_FIELDS)));
    expect(peer.ticksUntilDestroyed()).toBe(5 * SECOND + 1);
  });

  test('a connection is closed with GOAWAY if its client does not acknowledge SETTINGS in 10 s', () => {
    const peer = new Peer();
    peer.send(PREFACE, SETTINGS);
    peer.tick(9 * SECOND);
    peer.send(ping('12345678'));
    peer.tick(SECOND + 2);
    expect(peer.reasons).toEqual(['SETTINGS not acknowledged in time']);
    expect([peer.types().at(-1), peer.hasEnded]).toEqual(['GOAWAY', true]);
  });

  test('a silent connection gets a PING after 10 s and is closed after 20 s', () => {
    const peer = new Peer();
    peer.send(OPENING);
    peer.tick(10 * SECOND - 1);
    expect(peer.types()).not.toContain('PING');
    peer.tick(1);
    expect(peer.types().at(-1)).toBe('PING');
    peer.send(frame(FRAME.PING, FLAG.ACK, 0, Buffer.alloc(8)));
    expect(peer.ticksUntilDestroyed()).toBe(20 * SECOND + 1);
    expect(peer.types().filter((type) => type === 'PING')).toHaveLength(2);
  });

  test('a connection is closed if its client does not read for 10 s, and is not read from meanwhile', () => {
    const peer = new Peer({}, false);
    peer.send(OPENING);
    expect(peer.isPaused).toBe(false);
    peer.send(...Array.from({ length: 5000 }, () => ping('12345678')));
    expect(peer.isPaused).toBe(true);
    expect(peer.ticksUntilDestroyed()).toBe(10 * SECOND + 1);
  });

  test('a connection is closed 10 s after its last response, if its client does not read the response', () => {
    const peer = new Peer({ maxConnectionAgeMs: 1000, keepaliveIntervalMs: 1e9 }, false);
    peer.send(OPENING, call(1));
    peer.tick(3 * SECOND);
    expect(peer.hasEnded).toBe(true);
    const ticks = peer.ticksUntilDestroyed();
    expect(ticks).toBeGreaterThan(8 * SECOND);
    expect(ticks).toBeLessThan(11 * SECOND);
  });

  test('a connection is closed 1 s after an error, though its client neither reads nor closes', () => {
    const peer = new Peer({}, false);
    peer.send(OPENING, frame(FRAME.DATA, 0, 0));
    expect(peer.hasEnded).toBe(true);
    expect(peer.ticksUntilDestroyed()).toBe(SECOND + 1);
  });
});

test.each([
  [32_767, false],
  [32_768, true],
])('after a read of %d bytes, that other sockets are read first is %s', async (length, isPaused) => {
  const peer = new Peer();
  peer.send(OPENING);
  peer.send(Buffer.alloc(length));
  expect(peer.isPaused).toBe(isPaused);
  await nextTurn();
  expect(peer.isPaused).toBe(false);
});

test('a client that does not read is not read from after a large read either', async () => {
  const peer = new Peer({}, false);
  peer.send(OPENING);
  peer.send(...Array.from({ length: 5000 }, () => ping('12345678')));
  await nextTurn();
  expect(peer.isPaused).toBe(true);
});

describe('a connection with a maximum age', () => {
  const options = { maxConnectionAgeMs: 30_000, maxConnectionAgeGraceMs: 5000, keepaliveIntervalMs: 1e9 };

  test('an old connection gets a GOAWAY at about its maximum age, a last one a second later, and is then closed', () => {
    const peer = new Peer(options);
    peer.send(OPENING);
    peer.tick(27 * SECOND - 1);
    expect(peer.types()).not.toContain('GOAWAY');
    peer.tick(6 * SECOND + 1);
    expect(peer.types().filter((type) => type === 'GOAWAY').length).toBeGreaterThanOrEqual(1);
    peer.tick(SECOND);
    expect(peer.types().slice(-3)).toEqual(['GOAWAY', 'PING', 'GOAWAY']);
    expect(peer.hasEnded).toBe(true);
  });

  test('an old connection is destroyed after its grace period if a call is still open', () => {
    const handle = () => new Promise<Buffer>(() => undefined);
    const peer = new Peer({ ...options, methods: new Map([['/test.Echo/Echo', { handle }]]) });
    peer.send(OPENING, call(1));
    const ticks = peer.ticksUntilDestroyed();
    expect(ticks).toBeGreaterThan((27 + 5) * SECOND - 2);
    expect(ticks).toBeLessThan((33 + 5) * SECOND + 2);
  });
});

test('a connection whose stream ids run out is closed, though its client answers no PING', () => {
  const peer = new Peer();
  peer.send(OPENING, call(2 ** 31 - 1));
  peer.tick(2 * SECOND);
  expect(peer.types().filter((type) => type === 'GOAWAY')).toHaveLength(2);
  expect(peer.hasEnded).toBe(true);
});

test('responses that wait for a client to read share their memory', () => {
  const memory: unknown[] = [];
  let finish: () => void = () => undefined;
  const socket = new Duplex({
    read: () => undefined,
    write: (bytes: Buffer, _encoding, done) => {
      memory.push(bytes.buffer);
      finish = done;
    },
  });
  new ServerSocket(socket as Socket, withDefaults({ methods: new Map() }), () => undefined);
  socket.emit('data', OPENING);
  for (let count = 0; count < 20; count++) socket.emit('data', ping('12345678'));
  while (socket.writableLength > 0) finish();
  expect(memory).toHaveLength(22);
  expect(new Set(memory).size).toBeLessThan(5);
});

test('nothing is written after the GOAWAY of an error', async () => {
  const peer = new Peer({ keepaliveIntervalMs: 250 });
  peer.send(OPENING, frame(FRAME.DATA, 0, 0));
  peer.connection.shutDown();
  peer.tick(SECOND);
  await nextTurn();
  expect(peer.types().filter((type) => type === 'GOAWAY')).toHaveLength(1);
  expect(peer.isDestroyed).toBe(false);
});

test('a call without a message ends after 5 s, and its connection stays open', () => {
  const peer = new Peer();
  peer.send(OPENING, headers(1));
  peer.tick(5 * SECOND);
  expect(peer.types()).not.toContain('RST_STREAM');
  peer.tick(1);
  expect(peer.types().slice(-2)).toEqual(['HEADERS', 'RST_STREAM']);
  peer.send(call(3));
  expect(peer.types().slice(-3)).toEqual(['HEADERS', 'DATA', 'HEADERS']);
});

test('responses that come later in one turn of the event loop share a write', async () => {
  const waiting: ((bytes: Buffer) => void)[] = [];
  const handle = () => new Promise<Buffer>((resolve) => waiting.push(resolve));
  const peer = new Peer({ methods: new Map([['/test.Echo/Echo', { handle }]]) });
  peer.send(OPENING, call(1), call(3));
  for (const answer of waiting) answer(Buffer.from('late'));
  expect(peer.types()).not.toContain('DATA');
  await nextTurn();
  expect(peer.types().slice(-6)).toEqual(['HEADERS', 'DATA', 'HEADERS', 'HEADERS', 'DATA', 'HEADERS']);
});
