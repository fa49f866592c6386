/** Attacks with header blocks: endless, expanding, malformed. */
import { describe, expect, test } from 'vitest';
import { FRAME, frame, literal, streamNumber, times } from '../../../../test/support/raw-http2.ts';
import { attack, goAwayCode, useAttackedServer } from '../support/attacked-server.ts';
import { expectBounded, FLOOD, flood, resetCodes } from '../support/bounds.ts';
import {
  block,
  call,
  callWith,
  headers,
  join,
  REQUEST_BLOCK,
  REQUEST_FIELDS,
  settings,
  windowUpdate,
} from '../support/wire.ts';

const PROTOCOL_ERROR = 1;
const ENHANCE_YOUR_CALM = 11;

const server = useAttackedServer();

const FIELD = block([['x', 'y']]);
const TOO_MANY = 'too many CONTINUATION frames';
const TOO_LONG = 'a header block that is too long';

describe('class 5: a header block that does not end (CVE-2024-27983, CVE-2023-45288)', () => {
  test.each([
    ['of small CONTINUATION frames', frame(FRAME.continuation, 0, 1, FIELD), TOO_MANY],
    ['of empty CONTINUATION frames', frame(FRAME.continuation, 0, 1), TOO_MANY],
    [
      'of full CONTINUATION frames',
      frame(FRAME.continuation, 0, 1, Buffer.concat(Array(3200).fill(FIELD))),
      TOO_LONG,
    ],
  ])('%s ends the connection with ENHANCE_YOUR_CALM', async (name, one, reason) => {
    const { peer, ...damage } = await attack(server, async (attacker) => {
      await attacker.write(frame(FRAME.headers, 0, 1, REQUEST_BLOCK));
      for (let sent = 0; sent < 1000 && !attacker.isClosed; sent++) await attacker.write(one);
      await attacker.closed;
    });
    expect(await goAwayCode(peer)).toBe(ENHANCE_YOUR_CALM);
    expectBounded(`a header block ${name}`, damage, [reason]);
  });
});

/** A field of 3.9 kB enters the table. */
const LONG_FIELD = join(Buffer.of(0x40), literal('x'), literal('a'.repeat(3900)));

describe('class 6: few bytes that expand to many (HPACK bomb, CVE-2016-6581; HTTP/2 bomb, CVE-2026-49975)', () => {
  test('a block of 12,000 references to a field of 3.9 kB ends the connection', async () => {
    const { peer, ...damage } = await attack(server, async (attacker) => {
      await attacker.write(headers(1, join(REQUEST_BLOCK, LONG_FIELD, Buffer.alloc(12_000, 0xbe))));
      await attacker.closed;
    });
    expect(await goAwayCode(peer)).toBe(ENHANCE_YOUR_CALM);
    expectBounded('HPACK bomb of 47 MB', damage, ['a header list far above SETTINGS_MAX_HEADER_LIST_SIZE']);
  });

  test.each([
    ['12 kB of headers in 100 bytes', join(REQUEST_BLOCK, Buffer.alloc(3, 0xbe))],
    ['56 empty fields', join(REQUEST_BLOCK, Buffer.alloc(56, 0xbe))],
  ])('256 calls held open with %s each cost little, and more are refused', async (name, fields) => {
    const first = name.startsWith('12') ? LONG_FIELD : join(Buffer.of(0x40), literal(''), literal(''));
    const { peer, ...damage } = await attack(server, async (attacker) => {
      await attacker.write(call(1, 'a', join(REQUEST_BLOCK, Buffer.of(0x40), literal('x'), literal(''))));
      await attacker.write(call(3, 'a', join(REQUEST_BLOCK, first)));
      await attacker.write(times(1000, (index) => headers(streamNumber(index + 2), fields)));
      await attacker.until(() => attacker.received(FRAME.rstStream).length > 0);
    });
    expectBounded(`HTTP/2 bomb: ${name}`, damage);
    peer.destroy();
  });

  test.each([
    ['101 fields', Array.from({ length: 95 }, () => FIELD)],
    ['more than 16 KiB of fields', [block([['x', 'a'.repeat(16_200)]])]],
  ])('a call with %s is refused, and the connection is kept', async (name, more) => {
    const { peer, ...damage } = await attack(server, async (attacker) => {
      await attacker.write(join(call(1, 'a', join(REQUEST_BLOCK, ...more)), call(3, 'b')));
      await attacker.until(() => attacker.received(FRAME.data).length > 0);
    });
    expect(peer.received(FRAME.data).map(({ stream }) => stream)).toEqual([3]);
    expect(peer.isClosed).toBe(false);
    expectBounded(name, damage);
    peer.destroy();
  });
});

describe('class 7: a SETTINGS_HEADER_TABLE_SIZE that makes our encoder grow', () => {
  test('a large table has no effect: responses never enter it', async () => {
    const { peer, ...damage } = await attack(server, async (attacker) => {
      await attacker.write(settings([1, 2 ** 32 - 1]), windowUpdate(0, 2 ** 30));
      await flood(attacker, (stream) => callWith({ 'x-unique': `value ${stream}` }, stream));
      await attacker.until(() => attacker.received(FRAME.data).length === FLOOD);
    });
    // A literal with incremental indexing begins with the bits 01 (RFC 7541 §6.2.1).
    const firsts = new Set(peer.received(FRAME.headers).map(({ payload }) => (payload[0] ?? 0) >> 6));
    expect(firsts.has(1)).toBe(false);
    expectBounded('HEADER_TABLE_SIZE of 2^32 - 1', damage);
    peer.destroy();
  });
});

describe('class 12: fields that servers forget to expect', () => {
  test.each([
    ['an empty name (CVE-2019-9516)', call(1, 'a', block([...REQUEST_FIELDS, ['', 'a']]))],
    ['neither :authority nor Host (CVE-2026-84445)', callWith({ ':authority': undefined })],
    [
      'two different values of Host',
      call(1, 'a', block([...REQUEST_FIELDS, ['host', 'echo'], ['host', 'other']])),
    ],
    ['a :path without a slash (CVE-2026-33186)', callWith({ ':path': 'test.Echo/Echo' })],
  ])('%s resets the stream with PROTOCOL_ERROR', async (name, bytes) => {
    const { peer, ...damage } = await attack(server, async (attacker) => {
      await attacker.write(join(bytes, call(3, 'next')));
      await attacker.until(() => attacker.received(FRAME.data).length > 0);
    });
    expect(resetCodes(peer)).toEqual([PROTOCOL_ERROR]);
    expect(peer.received(FRAME.data).map(({ stream }) => stream)).toEqual([3]);
    expectBounded(name, damage);
    peer.destroy();
  });
});
