/** Tests that frames which serve no call end a connection, and that honest clients can send as many as they do. */
import { describe, expect, test } from 'vitest';
import { FLAG, FRAME } from '../../src/http2/frames.ts';
import { ConnectionPeer } from '../support/connection-peer.ts';
import {
  call,
  data,
  EMPTY,
  frame,
  headers,
  ping,
  rstStream,
  SETTINGS,
  windowUpdate,
} from '../support/frames.ts';

const TOO_MANY = 'GOAWAY ENHANCE_YOUR_CALM: too many frames that serve no call';

/** Sends a frame again and again. @returns how many were accepted before the connection ended. */
function sendUntilEnd(peer: ConnectionPeer, make: (index: number) => Buffer): number {
  for (let index = 0; index < 10_000; index++) {
    peer.send(make(index));
    if (peer.connection.error !== undefined) return index;
  }
  return Number.POSITIVE_INFINITY;
}

const ids = (index: number): number => 2 * index + 3;

describe('in a burst, a client may send', () => {
  test.each([
    ['8,000 PINGs (CVE-2019-9512)', 8000, () => ping('12345678')],
    ['8,000 WINDOW_UPDATEs', 8000, () => windowUpdate(0, 1)],
    ['1,000 SETTINGS (CVE-2019-9515)', 1000, () => SETTINGS],
    ['1,000 PRIORITYs (CVE-2019-9513)', 1000, () => frame(FRAME.PRIORITY, 0, 1, Buffer.alloc(5))],
    ['1,000 frames of an unknown type', 1000, () => frame(0x77, 0, 0)],
    ['1,003 empty DATA frames (CVE-2019-9518)', 1003, () => data(1, EMPTY)],
    ['1,003 DATA frames of one byte', 1003, () => data(1, Buffer.of(1))],
    [
      '1,000 calls that it resets before their message (CVE-2023-44487)',
      1000,
      (index: number) => Buffer.concat([headers(ids(index)), rstStream(ids(index))]),
    ],
    [
      '1,000 WINDOW_UPDATEs of 0 for streams of their own (CVE-2025-8671)',
      888,
      (index: number) => Buffer.concat([headers(ids(index)), windowUpdate(ids(index), 0)]),
    ],
    ['1,000 malformed requests', 1000, (index: number) => headers(ids(index), [[':method', 'POST']])],
  ] as const)('%s', (_what, count, make) => {
    const peer = ConnectionPeer.open({ streamWindowBytes: 2 ** 20 });
    peer.send(headers(1));
    expect(sendUntilEnd(peer, make)).toBe(count);
    expect(peer.receivedInWords().slice(-1)).toEqual([TOO_MANY]);
  });
});

test('tiny DATA of a stream that we have reset counts, and other DATA of it does not', () => {
  const peer = ConnectionPeer.open();
  peer.send(headers(1));
  peer.connection.answerWithoutBody(peer.stream(1), EMPTY);
  const large = Buffer.alloc(64);
  expect(sendUntilEnd(peer, () => data(1, large))).toBe(Number.POSITIVE_INFINITY);
  expect(sendUntilEnd(peer, () => data(1, Buffer.of(1)))).toBe(8000);
});

describe('what a client may do without end', () => {
  test('a client may reset every call after its message, as a proxy does at its timeout', () => {
    const peer = ConnectionPeer.open();
    const accepted = sendUntilEnd(peer, (index) => Buffer.concat([call(ids(index)), rstStream(ids(index))]));
    expect(accepted).toBe(Number.POSITIVE_INFINITY);
  });

  test('a client may open streams that are refused because handlers of calls that it reset still run', () => {
    const peer = ConnectionPeer.open({ maxConcurrentStreams: 1 });
    peer.connection.countOrphan(1);
    expect(sendUntilEnd(peer, (index) => call(ids(index)))).toBe(Number.POSITIVE_INFINITY);
    expect(peer.receivedInWords()[0]).toBe('RST_STREAM 3 REFUSED_STREAM');
  });

  test('a client may send two WINDOW_UPDATEs, a PING and a late RST_STREAM for each call that is served', () => {
    const peer = ConnectionPeer.open();
    const accepted = sendUntilEnd(peer, (index) => {
      const id = ids(index);
      peer.send(call(id), ping('12345678'), windowUpdate(0, 1), windowUpdate(id, 1));
      peer.answer(id, EMPTY);
      peer.received();
      return rstStream(id);
    });
    expect(accepted).toBe(Number.POSITIVE_INFINITY);
  });

  test('a client may reset each call just after a response without a message, for example at its deadline', () => {
    const peer = ConnectionPeer.open();
    const accepted = sendUntilEnd(peer, (index) => {
      const id = ids(index);
      peer.send(call(id));
      peer.connection.answerWithoutBody(peer.stream(id), EMPTY);
      peer.received();
      return rstStream(id);
    });
    expect(accepted).toBe(Number.POSITIVE_INFINITY);
  });

  test('a client may write the prefix of each message, its bytes and the end of the stream in frames of their own', () => {
    const peer = ConnectionPeer.open();
    const accepted = sendUntilEnd(peer, (index) => {
      const id = ids(index);
      const parts = [data(id, Buffer.alloc(5)), data(id, Buffer.of(1)), data(id, EMPTY, FLAG.END_STREAM)];
      peer.send(headers(id), ...parts);
      peer.answer(id, EMPTY);
      peer.received();
      return EMPTY;
    });
    expect(accepted).toBe(Number.POSITIVE_INFINITY);
  });

  test('a client may send 100 PRIORITYs a second', () => {
    const peer = ConnectionPeer.open();
    const accepted = sendUntilEnd(peer, () => {
      peer.nowMs += 10;
      return frame(FRAME.PRIORITY, 0, 1, Buffer.alloc(5));
    });
    expect(accepted).toBe(Number.POSITIVE_INFINITY);
  });
});

test('a clock that is set back ends no connection', () => {
  const peer = ConnectionPeer.open();
  peer.send(ping('12345678'));
  peer.nowMs -= 3_600_000;
  expect(sendUntilEnd(peer, () => ping('12345678'))).toBe(7999);
});
