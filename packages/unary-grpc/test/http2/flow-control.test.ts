/** Tests flow control in both directions (RFC 9113 §5.2, §6.9). */
import { describe, expect, test } from 'vitest';
import { FLAG } from '../../src/http2/frames.ts';
import { ConnectionPeer } from '../support/connection-peer.ts';
import { call, data, frame, headers, rstStream, settings, windowUpdate } from '../support/frames.ts';

const INITIAL_WINDOW_SIZE = 4;
const MAX_FRAME_SIZE = 5;
const KIB_16 = Buffer.alloc(16_384, 'x');
/** Of the connection: 2^20 bytes. */
const FRAMES_IN_WINDOW = 64;

/** DATA frames of a response, as their lengths. */
function dataLengths(peer: ConnectionPeer): number[] {
  return peer
    .received()
    .filter(({ type }) => type === 'DATA')
    .map(({ payload }) => payload.length);
}

describe('a response', () => {
  test('a response within the windows is sent immediately', () => {
    const peer = ConnectionPeer.open();
    peer.send(call(1));
    peer.answer(1, Buffer.from('abc'));
    expect(peer.receivedInWords()).toEqual(['HEADERS 1 (1)', 'DATA 1 (3)', 'HEADERS 1 (5)']);
    expect(peer.events.slice(-1)).toEqual(['answered 1']);
  });

  test('a response waits for the window of its stream, and its trailers with it', () => {
    const peer = ConnectionPeer.open();
    peer.send(settings([INITIAL_WINDOW_SIZE, 2]), call(1));
    peer.received();
    peer.answer(1, Buffer.from('abcde'));
    expect(peer.receivedInWords()).toEqual(['HEADERS 1 (1)', 'DATA 1 (2)']);
    peer.send(windowUpdate(1, 2));
    expect(peer.receivedInWords()).toEqual(['DATA 1 (2)']);
    expect(peer.events.slice(-1)).toEqual(['end 1']);
    peer.send(windowUpdate(1, 2));
    expect(peer.receivedInWords()).toEqual(['DATA 1 (1)', 'HEADERS 1 (5)']);
    expect(peer.events.slice(-1)).toEqual(['answered 1']);
    expect(peer.connection.activeStreams.size).toBe(0);
  });

  test('responses wait for the window of the connection, in their order', () => {
    const peer = ConnectionPeer.open();
    peer.send(settings([INITIAL_WINDOW_SIZE, 2 ** 20]), call(1), call(3), call(5));
    peer.answer(1, Buffer.alloc(65_530));
    peer.answer(3, Buffer.alloc(10));
    peer.answer(5, Buffer.alloc(10));
    expect(dataLengths(peer)).toEqual([16_384, 16_384, 16_384, 16_378, 5]);
    peer.send(windowUpdate(0, 6));
    expect(dataLengths(peer)).toEqual([5, 1]);
    peer.send(windowUpdate(0, 100));
    expect(dataLengths(peer)).toEqual([9]);
    expect(peer.events.slice(-3)).toEqual(['answered 1', 'answered 3', 'answered 5']);
  });

  test('a response waits while its window is negative, after the initial window was lowered (§6.9.2)', () => {
    const peer = ConnectionPeer.open();
    peer.send(settings([INITIAL_WINDOW_SIZE, 10]), call(1));
    peer.answer(1, Buffer.alloc(20));
    expect(dataLengths(peer)).toEqual([10]);
    // The window is now 0 - 10.
    peer.send(settings([INITIAL_WINDOW_SIZE, 0]), windowUpdate(1, 10));
    expect(dataLengths(peer)).toEqual([]);
    peer.send(windowUpdate(1, 4));
    expect(dataLengths(peer)).toEqual([4]);
    // Raising the initial window opens the windows of streams as well.
    peer.send(settings([INITIAL_WINDOW_SIZE, 6]));
    expect(dataLengths(peer)).toEqual([6]);
    expect(peer.events.slice(-1)).toEqual(['answered 1']);
  });

  test('a response is cut into frames of the size that the client accepts', () => {
    const peer = ConnectionPeer.open();
    peer.send(call(1), call(3));
    peer.answer(1, Buffer.alloc(20_000));
    peer.send(settings([MAX_FRAME_SIZE, 20_000]));
    peer.answer(3, Buffer.alloc(20_000));
    expect(dataLengths(peer)).toEqual([16_384, 3616, 20_000]);
  });

  test('the stream of a response that is blocked for too long is reset', () => {
    const peer = ConnectionPeer.open();
    peer.send(settings([INITIAL_WINDOW_SIZE, 0]), call(1));
    peer.answer(1, Buffer.alloc(1));
    peer.received();
    peer.connection.tick(2);
    peer.connection.tick(2);
    expect(peer.receivedInWords()).toEqual([]);
    peer.connection.tick(2);
    expect(peer.receivedInWords()).toEqual(['RST_STREAM 1 CANCEL']);
    expect(peer.events.slice(-1)).toEqual(['reset 1']);
  });

  test('a blocked response is dropped when its stream is reset', () => {
    const peer = ConnectionPeer.open();
    peer.send(settings([INITIAL_WINDOW_SIZE, 2 ** 20]), call(1), call(3));
    peer.answer(1, Buffer.alloc(65_535));
    peer.answer(3, Buffer.alloc(1));
    peer.send(rstStream(3));
    peer.received();
    peer.send(windowUpdate(0, 100));
    expect(peer.receivedInWords()).toEqual([]);
    expect(peer.events.slice(-1)).toEqual(['reset 3']);
  });

  test('a new initial window that makes a window exceed its limit ends the connection (§6.9.2)', () => {
    const peer = ConnectionPeer.open();
    peer.send(call(1), windowUpdate(1, 2 ** 31 - 1 - 65_535), settings([INITIAL_WINDOW_SIZE, 65_536]));
    expect(peer.receivedInWords()).toEqual(['GOAWAY FLOW_CONTROL_ERROR: a window above 2^31-1 bytes']);
  });
});

describe('the window of the connection', () => {
  const half = Array.from({ length: FRAMES_IN_WINDOW / 2 }, () => data(3, KIB_16));
  const padding = Buffer.concat([Buffer.of(255), Buffer.alloc(16_383)]);

  test.each([
    ['a request', [headers(3), ...half]],
    ['padding', [headers(3), ...half.map(() => data(3, padding, FLAG.PADDED))]],
    ['a stream that was refused', [headers(1), headers(3), ...half]],
    ['a malformed request', [headers(3, [[':method', 'POST']]), ...half]],
    ['a stream that its client reset', [headers(3), rstStream(3), ...half]],
    ['a request that has ended', [headers(3, undefined, FLAG.END_STREAM), ...half]],
  ])('is given back for DATA of %s', (_what, frames) => {
    const peer = ConnectionPeer.open({ streamWindowBytes: 2 ** 20, maxConcurrentStreams: 1 });
    peer.send(...frames);
    const updates = peer.receivedInWords().filter((text) => text.startsWith('WINDOW_UPDATE 0'));
    expect(updates).toEqual([`WINDOW_UPDATE 0 +${2 ** 19}`]);
  });

  test('the window is given back for a request of any size, if it is the only one that is incomplete', () => {
    const peer = ConnectionPeer.open({ streamWindowBytes: 2 ** 25 });
    const frames = Array.from({ length: 17 * FRAMES_IN_WINDOW }, () => data(1, KIB_16));
    peer.send(headers(1), ...frames, data(1, Buffer.alloc(0), FLAG.END_STREAM));
    const updates = peer.receivedInWords().filter((text) => text.startsWith('WINDOW_UPDATE 0'));
    expect(updates).toEqual(new Array(34).fill(`WINDOW_UPDATE 0 +${2 ** 19}`));
    expect(peer.events.at(-1)).toBe('end 1');
  });

  test('the window is given back while many requests are incomplete, and some are refused so that others can end', () => {
    const peer = ConnectionPeer.open({ streamWindowBytes: 2 ** 20, maxConcurrentStreams: 256 });
    const ids = Array.from({ length: 256 }, (_, index) => 2 * index + 1);
    peer.send(...ids.map((id) => headers(id)));
    // 16 MiB, in which each has its turn, as HTTP/2 clients send; then the turns go on.
    for (let turn = 0; turn < 16; turn++) peer.send(...ids.map((id) => data(id, KIB_16)));
    const refused = peer.receivedInWords().filter((text) => text.endsWith('REFUSED_STREAM'));
    peer.send(...ids.map((id) => data(id, Buffer.alloc(1), FLAG.END_STREAM)));
    const ended = peer.events.filter((text) => text.startsWith('end'));
    expect(refused.length + ended.length).toBe(256);
    expect(ended.length).toBeGreaterThanOrEqual(64);
    expect(peer.connection.error).toBeUndefined();
  });
});

describe('the incomplete requests of all connections of a server', () => {
  const incompleteBytes = { count: 0 };
  const open = (): ConnectionPeer => ConnectionPeer.open({ streamWindowBytes: 2 ** 25, incompleteBytes });
  const mebibytes = (id: number, count: number): Buffer[] =>
    Array.from({ length: count * FRAMES_IN_WINDOW }, () => data(id, KIB_16));

  test('share 64 MiB: beyond them, a connection keeps one incomplete request', () => {
    const peers = [open(), open(), open(), open()];
    for (const peer of peers) peer.send(headers(1), ...mebibytes(1, 16));
    expect(incompleteBytes.count).toBe(64 * 2 ** 20);
    const another = open();
    another.send(headers(1), data(1, KIB_16));
    another.send(headers(3), data(3, KIB_16));
    expect(another.receivedInWords()).toEqual(['RST_STREAM 3 REFUSED_STREAM']);
    peers[0]?.connection.abandon();
    another.send(headers(5), data(5, KIB_16));
    expect(another.receivedInWords()).toEqual([]);
    for (const peer of [...peers, another]) peer.connection.abandon();
    expect(incompleteBytes.count).toBe(0);
  });
});

describe('the window of a stream', () => {
  test('the window of a stream is given back by halves while its request goes on', () => {
    const peer = ConnectionPeer.open({ streamWindowBytes: 65_536 });
    peer.send(headers(1), data(1, KIB_16));
    expect(peer.receivedInWords()).toEqual([]);
    peer.send(data(1, KIB_16));
    expect(peer.receivedInWords()).toEqual(['WINDOW_UPDATE 1 +32768']);
  });

  test('DATA beyond the window of a stream resets it', () => {
    const peer = ConnectionPeer.open({ streamWindowBytes: 20_000 });
    // The first frame is given back at once, since it is more than half of the window.
    peer.send(headers(1), frame(0, 0, 1, Buffer.alloc(9999)), data(1, Buffer.alloc(10_002)));
    expect(peer.receivedInWords()).toEqual(['RST_STREAM 1 FLOW_CONTROL_ERROR']);
  });
});
