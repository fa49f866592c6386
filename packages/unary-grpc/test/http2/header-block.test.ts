/** Tests the bounds of a header block that is cut into frames (RFC 9113 §6.10; CVE-2023-45288, CVE-2024-27983). */
import { expect, test } from 'vitest';
import { encodeFields } from '../../src/hpack/encoder.ts';
import { FLAG, FRAME } from '../../src/http2/frames.ts';
import { ConnectionPeer } from '../support/connection-peer.ts';
import { CALL_FIELDS, EMPTY, frame } from '../support/frames.ts';

const BLOCK = encodeFields(CALL_FIELDS);
const begin = frame(FRAME.HEADERS, 0, 1, BLOCK);

/** For a limit of 16 KiB, a block may have 32 KiB. */
const MAX_FRAMES = 2 + 4;

test('a block may have four frames more than its largest size needs', () => {
  const peer = ConnectionPeer.open();
  const empty = frame(FRAME.CONTINUATION, 0, 1);
  peer.send(begin, ...Array.from({ length: MAX_FRAMES - 2 }, () => empty));
  peer.send(frame(FRAME.CONTINUATION, FLAG.END_HEADERS, 1));
  expect(peer.events).toEqual(['request 1 /test.Echo/Echo']);
});

test('a block of empty CONTINUATION frames ends the connection', () => {
  const peer = ConnectionPeer.open();
  peer.send(begin, ...Array.from({ length: MAX_FRAMES }, () => frame(FRAME.CONTINUATION, 0, 1)));
  expect(peer.receivedInWords()).toEqual(['GOAWAY ENHANCE_YOUR_CALM: too many CONTINUATION frames']);
});

test('a block of more than the largest header list and 16 KiB ends the connection', () => {
  const peer = ConnectionPeer.open();
  const full = frame(FRAME.CONTINUATION, 0, 1, Buffer.alloc(16_384));
  peer.send(begin, full);
  expect(peer.connection.error).toBeUndefined();
  peer.send(full);
  expect(peer.receivedInWords()).toEqual(['GOAWAY ENHANCE_YOUR_CALM: a header block that is too long']);
});

test('a small block whose list is four times the limit ends the connection (CVE-2016-6581)', () => {
  const peer = ConnectionPeer.open();
  const entry = Buffer.concat([Buffer.of(0x40, 1, 0x78, 0x7f, 0xe1, 0x1e), Buffer.alloc(4064, 'a')]);
  const bomb = Buffer.concat([BLOCK, entry, Buffer.alloc(20, 0xbe)]);
  peer.send(frame(FRAME.HEADERS, FLAG.END_HEADERS, 1, bomb));
  expect(peer.receivedInWords()).toEqual([
    expect.stringMatching(/^GOAWAY (ENHANCE_YOUR_CALM: a header list far above|COMPRESSION_ERROR)/),
  ]);
  expect(peer.events).toEqual([]);
});

test('isInHeaderBlock is true until END_HEADERS', () => {
  const peer = ConnectionPeer.open();
  expect(peer.connection.isInHeaderBlock).toBe(false);
  peer.send(begin);
  expect(peer.connection.isInHeaderBlock).toBe(true);
  peer.send(frame(FRAME.CONTINUATION, FLAG.END_HEADERS, 1, EMPTY));
  expect(peer.connection.isInHeaderBlock).toBe(false);
});
