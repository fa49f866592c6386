/** Attacks with calls that end before they are answered, by the client or because the client makes us reset them. */
import { describe, expect, test } from 'vitest';
import { FLAG, FRAME, frame, streamNumber, times } from '../../../../test/support/raw-http2.ts';
import { attack, goAwayCode, useAttackedServer } from '../support/attacked-server.ts';
import { expectBounded, FLOOD, flood, GLITCHES } from '../support/bounds.ts';
import {
  block,
  call,
  data,
  type Field,
  headers,
  join,
  message,
  ping,
  REQUEST_FIELDS,
  rstStream,
  windowUpdate,
} from '../support/wire.ts';

const CANCEL = 8;
const ENHANCE_YOUR_CALM = 11;

const server = useAttackedServer();

describe('class 3: calls that the client makes us reset (MadeYouReset, CVE-2025-8671)', () => {
  test.each<[string, (stream: number) => Buffer]>([
    ['WINDOW_UPDATE of 0', (stream) => join(headers(stream), windowUpdate(stream, 0))],
    ['a window that overflows', (stream) => join(headers(stream), windowUpdate(stream, 2 ** 31 - 1))],
    [
      'PRIORITY of 4 bytes',
      (stream) => join(headers(stream), frame(FRAME.priority, 0, stream, Buffer.alloc(4))),
    ],
    ['DATA after the end of the request', (stream) => join(call(stream, 'a'), data(stream, message('a')))],
    ['a malformed request', (stream) => headers(stream, block([...REQUEST_FIELDS, ['UPPER', 'a']]))],
    ['trailers that do not end the stream', (stream) => join(headers(stream), headers(stream))],
  ])('%s ends the connection with ENHANCE_YOUR_CALM', async (name, make) => {
    const { peer, ...damage } = await attack(server, async (attacker) => {
      await flood(attacker, make);
      await attacker.closed;
    });
    expect(await goAwayCode(peer)).toBe(ENHANCE_YOUR_CALM);
    expectBounded(`MadeYouReset by ${name}`, damage, [GLITCHES]);
  });
});

describe('class 4: calls that the client resets immediately (Rapid Reset, CVE-2023-44487)', () => {
  test.each<[string, (stream: number) => Buffer]>([
    ['before their message', (stream) => join(headers(stream), rstStream(stream, CANCEL))],
    [
      'within their message',
      (stream) => join(headers(stream), data(stream, Buffer.alloc(4), 0), rstStream(stream, CANCEL)),
    ],
    [
      'with HEADERS in two frames',
      (stream) =>
        join(
          frame(FRAME.headers, 0, stream, block(REQUEST_FIELDS)),
          frame(FRAME.continuation, FLAG.endHeaders, stream),
          rstStream(stream, CANCEL),
        ),
    ],
  ])('%s end the connection with ENHANCE_YOUR_CALM', async (name, make) => {
    const { peer, ...damage } = await attack(server, async (attacker) => {
      await flood(attacker, make);
      await attacker.closed;
    });
    expect(await goAwayCode(peer)).toBe(ENHANCE_YOUR_CALM);
    expectBounded(`rapid reset ${name}`, damage, [GLITCHES]);
  });

  test('calls reset after their message are not handled, and the connection is kept', async () => {
    const { calls } = await server.state();
    const { peer, ...damage } = await attack(server, async (attacker) => {
      await flood(attacker, (stream) => join(call(stream, 'a'), rstStream(stream, CANCEL)));
      await attacker.write(ping('done'));
      await attacker.until(() => attacker.received(FRAME.ping).length > 0);
    });
    // Handlers are called once everything has been read that had arrived: now and then a call before its reset.
    expect((await server.state()).calls - calls - damage.answered).toBeLessThan(FLOOD / 10);
    expect(peer.isClosed).toBe(false);
    expectBounded('rapid reset after the message', damage);
    peer.destroy();
  });
});

describe('requests that no handler gets', () => {
  test.each<[string, (stream: number) => Buffer]>([
    ['an unknown method', (stream) => call(stream, 'a', block(withField(':path', '/none')))],
    ['no message', (stream) => headers(stream, block(REQUEST_FIELDS), FLAG.endHeaders | FLAG.endStream)],
    ['a method that is not POST', (stream) => call(stream, 'a', block(withField(':method', 'GET')))],
  ])('%s in endless requests ends the connection with ENHANCE_YOUR_CALM', async (name, make) => {
    const { peer, ...damage } = await attack(server, async (attacker) => {
      for (let from = 0; !attacker.isClosed; from += 500)
        await attacker.write(times(500, (index) => make(streamNumber(from + index))));
    });
    expect(await goAwayCode(peer)).toBe(ENHANCE_YOUR_CALM);
    expectBounded(name, damage, [GLITCHES]);
  });
});

function withField(name: string, value: string): Field[] {
  return REQUEST_FIELDS.map((field) => (field[0] === name ? [name, value] : field));
}
