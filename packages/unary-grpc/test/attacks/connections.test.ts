/** Attacks with connections: that never start, never end, or run out of streams. */
import { connect } from 'node:net';
import { describe, expect, test } from 'vitest';
import {
  connectRaw,
  FLAG,
  FRAME,
  frame,
  PREFACE,
  SETTINGS,
  streamNumber,
  times,
} from '../../../../test/support/raw-http2.ts';
import { attack, goAwayCode, startAttackedServer, useAttackedServer } from '../support/attacked-server.ts';
import { expectBounded } from '../support/bounds.ts';
import { call, data, headers, join, message, windowUpdate } from '../support/wire.ts';

const FLOW_CONTROL_ERROR = 3;

const server = useAttackedServer();

describe('class 11: a connection that goes on after its end (CVE-2026-21714, CVE-2026-48937, CVE-2022-27664)', () => {
  test('the window of the connection overflows: nothing after it is answered, and the server closes', async () => {
    const { peer, ...damage } = await attack(server, async (attacker) => {
      await attacker.write(join(windowUpdate(0, 2 ** 31 - 1), call(1, 'a')));
      await attacker.closed;
    });
    expect(await goAwayCode(peer)).toBe(FLOW_CONTROL_ERROR);
    expect(peer.received(FRAME.headers)).toEqual([]);
    expectBounded('overflow of the connection window', damage, ['a window above 2^31-1 bytes']);
  });

  test('a client that goes on sending after a connection error, and does not hang up, is cut off', async () => {
    const { peer, ...damage } = await attack(server, async () => {
      const stubborn = await connectRaw(server.address, { allowHalfOpen: true });
      await stubborn.write(PREFACE, SETTINGS, windowUpdate(0, 0));
      while (!stubborn.isClosed) await stubborn.write(Buffer.alloc(2 ** 16));
    });
    expect(peer.isClosed).toBe(false);
    expectBounded('bytes after a connection error', damage, ['WINDOW_UPDATE of 0']);
    peer.destroy();
  });

  test('streams that are opened after our GOAWAY are never handled, and those before it are', async () => {
    const own = await startAttackedServer();
    const peer = await connectRaw(own.address);
    await peer.write(PREFACE, SETTINGS, headers(1));
    await peer.until(() => peer.received(FRAME.settings).length === 2);
    await own.shutDown();
    await peer.until(() => peer.received(FRAME.goaway).length === 1);
    const opaque = peer.received(FRAME.ping)[0]?.payload ?? Buffer.alloc(8);
    await peer.write(frame(FRAME.ping, FLAG.ack, 0, opaque));
    await peer.until(() => peer.received(FRAME.goaway).length === 2);
    await peer.write(times(500, (index) => call(streamNumber(index + 1), 'late')));
    await peer.write(data(1, message('in time')));
    await peer.closed;
    const responses = peer.received(FRAME.data).map(({ payload }) => payload.subarray(5).toString());
    expect(responses).toEqual(['in time']);
    expect((await own.state()).calls).toBe(1);
    await own.stop();
  });
});

describe('class 14: connections that never start, and stream ids that run out', () => {
  test('a client that never sends its preface or SETTINGS is closed', async () => {
    const { peer, ...damage } = await attack(server, async () => {
      const silent = Array.from({ length: 50 }, () =>
        connect(Number(server.address.split(':')[1]), '127.0.0.1'),
      );
      const half = await connectRaw(server.address);
      await half.write(PREFACE);
      const closed = silent.map(
        (socket) =>
          new Promise((resolve) =>
            socket
              .on('close', resolve)
              .on('error', () => undefined)
              .resume(),
          ),
      );
      await Promise.all([...closed, half.closed]);
    });
    expectBounded('silent connections', damage);
    peer.destroy();
  });

  test('the last stream id is answered, and a connection near it is asked to end by GOAWAY', async () => {
    const { peer, ...damage } = await attack(server, async (attacker) => {
      await attacker.write(call(2 ** 31 - 1, 'last'));
      await attacker.until(
        () => attacker.received(FRAME.data).length > 0 && attacker.received(FRAME.goaway).length > 0,
      );
    });
    expect(await goAwayCode(peer)).toBe(0);
    expect(peer.received(FRAME.data).map(({ payload }) => payload.subarray(5).toString())).toEqual(['last']);
    expectBounded('stream ids used up', damage);
    peer.destroy();
  });

  test('a call whose message never arrives ends with DEADLINE_EXCEEDED', async () => {
    const { peer, ...damage } = await attack(server, async (attacker) => {
      await attacker.write(headers(1));
      await attacker.until(() => attacker.received(FRAME.headers).length > 0);
    });
    expect(peer.received(FRAME.headers)[0]?.payload.toString('latin1')).toContain(
      'message not received in time',
    );
    expectBounded('a call without its message', damage);
    peer.destroy();
  });
});
