/** Attacks with frames that carry no request: PING, SETTINGS, PRIORITY, WINDOW_UPDATE, unknown ones. */
import { describe, expect, test } from 'vitest';
import { FLAG, FRAME, frame, streamNumber, times } from '../../../../test/support/raw-http2.ts';
import { attack, goAwayCode, useAttackedServer } from '../support/attacked-server.ts';
import { expectBounded, GLITCHES } from '../support/bounds.ts';
import { call, ping, settings, windowUpdate } from '../support/wire.ts';

const ENHANCE_YOUR_CALM = 11;
const PROTOCOL_ERROR = 1;

const server = useAttackedServer();

describe('class 1: a flood of frames that need a reply (CVE-2019-9512, CVE-2019-9515)', () => {
  test('a few thousand PINGs are answered', async () => {
    const { peer, ...damage } = await attack(server, async (attacker) => {
      await attacker.write(times(5000, () => ping('many')));
      await attacker.until(() => attacker.received(FRAME.ping).length === 5000);
    });
    expect(peer.received(FRAME.ping)).toHaveLength(5000);
    expect(peer.isClosed).toBe(false);
    expectBounded('5,000 PINGs', damage);
    peer.destroy();
  });

  test.each([
    ['PINGs', ping('flood')],
    ['SETTINGS', settings()],
  ])('endless %s end the connection with ENHANCE_YOUR_CALM', async (name, one) => {
    const { peer, ...damage } = await attack(server, async (attacker) => {
      while (!attacker.isClosed) await attacker.write(times(1000, () => one));
    });
    expect(await goAwayCode(peer)).toBe(ENHANCE_YOUR_CALM);
    expectBounded(name, damage, [GLITCHES]);
  });

  test.each([
    ['PINGs', ping('flood')],
    ['SETTINGS', settings()],
  ])('endless %s end the connection if the replies are not read either', async (name, one) => {
    const { peer, ...damage } = await attack(server, async (attacker) => {
      attacker.stopReading();
      while (!attacker.isClosed) await attacker.write(times(1000, () => one));
    });
    expect(peer.isClosed).toBe(true);
    expectBounded(`${name} unread`, damage, [GLITCHES]);
  });
});

describe('class 2: SETTINGS with many entries', () => {
  test('SETTINGS with many entries end the connection with ENHANCE_YOUR_CALM', async () => {
    const entries = Array.from({ length: 2000 }, () => [4, 65_535] as const);
    const { peer, ...damage } = await attack(server, async (attacker) => {
      await attacker.write(settings(...entries));
      await attacker.closed;
    });
    expect(await goAwayCode(peer)).toBe(ENHANCE_YOUR_CALM);
    expectBounded('SETTINGS of 2,000 entries', damage, ['SETTINGS with too many settings']);
  });
});

describe('class 10: a flood of frames that cost work and do nothing (CVE-2019-9513)', () => {
  const opened = (stream: number): Buffer => call(stream, 'a');
  test.each<[string, (index: number) => Buffer]>([
    ['PRIORITY', () => frame(FRAME.priority, 0, 1, Buffer.alloc(5))],
    ['WINDOW_UPDATE', () => windowUpdate(0, 1)],
    ['frames of an unknown type', () => frame(0xbb, 0, 0)],
    ['acknowledgements of SETTINGS', () => frame(FRAME.settings, FLAG.ack, 0)],
    ['acknowledgements of PINGs', () => ping('none', FLAG.ack)],
    [
      'PRIORITY between calls, 100 for each',
      (index) =>
        Buffer.concat([
          opened(streamNumber(index)),
          times(100, () => frame(FRAME.priority, 0, 1, Buffer.alloc(5))),
        ]),
    ],
  ])('endless %s end the connection with ENHANCE_YOUR_CALM', async (name, make) => {
    const { peer, ...damage } = await attack(server, async (attacker) => {
      for (let index = 0; !attacker.isClosed; index += 100) {
        await attacker.write(times(100, (offset) => make(index + offset)));
      }
    });
    expect(await goAwayCode(peer)).toBe(ENHANCE_YOUR_CALM);
    expectBounded(name, damage, [GLITCHES]);
  });
});

describe('class 13: a setting out of range (CVE-2026-33814)', () => {
  test('a setting out of range ends the connection before it is used', async () => {
    const { peer, ...damage } = await attack(server, async (attacker) => {
      await attacker.write(Buffer.concat([settings([5, 0]), call(1, 'a')]));
      await attacker.closed;
    });
    expect(await goAwayCode(peer)).toBe(PROTOCOL_ERROR);
    expect(peer.received(FRAME.headers)).toEqual([]);
    expectBounded('MAX_FRAME_SIZE of 0', damage, ['SETTINGS_MAX_FRAME_SIZE out of range']);
  });
});
