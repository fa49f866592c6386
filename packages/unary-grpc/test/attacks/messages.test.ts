/** Attacks with DATA and flow control. */
import { describe, expect, test } from 'vitest';
import { FRAME, frame, streamNumber, times } from '../../../../test/support/raw-http2.ts';
import { attack, goAwayCode, useAttackedServer } from '../support/attacked-server.ts';
import { expectBounded, GLITCHES } from '../support/bounds.ts';
import {
  call,
  data,
  headers,
  join,
  message,
  PADDED,
  padded,
  rstStream,
  settings,
  windowUpdate,
} from '../support/wire.ts';

const CANCEL = 8;
const ENHANCE_YOUR_CALM = 11;

const server = useAttackedServer();

describe('class 8: empty or tiny DATA (CVE-2019-9518)', () => {
  test.each([
    ['empty DATA', data(1, Buffer.alloc(0), 0)],
    ['DATA of padding only', data(1, padded(Buffer.alloc(0), 10), PADDED)],
    ['DATA of one byte', data(1, Buffer.alloc(1), 0)],
  ])('a message in endless %s ends the connection with ENHANCE_YOUR_CALM', async (name, one) => {
    const { peer, ...damage } = await attack(server, async (attacker) => {
      await attacker.write(join(headers(1), data(1, message('a'.repeat(200_000)).subarray(0, 5), 0)));
      while (!attacker.isClosed) await attacker.write(times(1000, () => one));
    });
    expect(await goAwayCode(peer)).toBe(ENHANCE_YOUR_CALM);
    expectBounded(name, damage, [GLITCHES]);
  });
});

describe('class 9: responses that the client does not accept (CVE-2019-9511, CVE-2019-9517)', () => {
  test('256 responses that wait for a window of 0 are dropped, and the stalled streams end', async () => {
    const { peer, ...damage } = await attack(server, async (attacker) => {
      await attacker.write(
        join(
          settings([4, 0]),
          times(256, (index) => call(streamNumber(index), 'a'.repeat(1000))),
        ),
      );
      await attacker.until(
        () => attacker.received(FRAME.rstStream).length === 256 || attacker.received(FRAME.goaway).length > 0,
      );
    });
    expect(peer.received(FRAME.data)).toEqual([]);
    expectBounded('window of 0', damage);
    peer.destroy();
  });

  test('responses that are not read end the connection', async () => {
    const { peer, ...damage } = await attack(server, async (attacker) => {
      attacker.stopReading();
      await attacker.write(join(settings([4, 2 ** 31 - 1]), windowUpdate(0, 2 ** 30)));
      for (let first = 0; !attacker.isClosed; first += 100) {
        await attacker.write(times(100, (index) => call(streamNumber(first + index), 'a'.repeat(1000))));
      }
    });
    expect(peer.isClosed).toBe(true);
    expectBounded('unread responses', damage);
  });
});

/** The sum of the increments for the connection. */
function returnedWindow(increments: readonly { stream: number; payload: Buffer }[]): number {
  return increments
    .filter(({ stream }) => stream === 0)
    .reduce((sum, { payload }) => sum + payload.readUInt32BE(), 0);
}

describe('class 15: flow control of DATA that nobody reads', () => {
  test('padding and DATA of reset streams return the window of the connection', async () => {
    const bytes = 60_000;
    const part = data(1, padded(Buffer.alloc(100), 255), PADDED).subarray(9);
    const parts = Math.floor(bytes / part.length);
    const { peer, ...damage } = await attack(server, async (attacker) => {
      for (let index = 0; index < 20; index++) {
        const stream = streamNumber(index);
        await attacker.write(
          join(
            headers(stream),
            rstStream(stream, CANCEL),
            times(parts, () => frame(FRAME.data, PADDED, stream, part)),
          ),
        );
        const sent = (index + 1) * parts * part.length;
        // The rest is within the first window of 65,535 bytes.
        await attacker.until(() => returnedWindow(attacker.received(FRAME.windowUpdate)) > sent - 65_535);
      }
      await attacker.write(call(1001, 'after it'));
      await attacker.until(() => attacker.received(FRAME.data).length > 0);
    });
    expect(peer.received(FRAME.data).map(({ payload }) => payload.subarray(5).toString())).toEqual([
      'after it',
    ]);
    expectBounded('DATA of reset streams', damage);
    peer.destroy();
  });
});
