/** Tests that it makes no difference where the bytes of a connection are cut. */
import fc from 'fast-check';
import { expect, test } from 'vitest';
import { encodeFields } from '../../src/hpack/encoder.ts';
import { FLAG, FRAME } from '../../src/http2/frames.ts';
import { ConnectionPeer } from '../support/connection-peer.ts';
import {
  CALL_FIELDS,
  call,
  data,
  EMPTY,
  frame,
  headers,
  PREFACE,
  ping,
  rstStream,
  SETTINGS,
  SETTINGS_ACK,
  settings,
  windowUpdate,
} from '../support/frames.ts';

const BLOCK = encodeFields(CALL_FIELDS);

const SESSION = Buffer.concat([
  PREFACE,
  SETTINGS,
  SETTINGS_ACK,
  call(1, 'one'),
  headers(3),
  data(3, Buffer.from('ab')),
  ping('12345678'),
  frame(FRAME.HEADERS, FLAG.END_STREAM, 5, BLOCK.subarray(0, 5)),
  frame(FRAME.CONTINUATION, 0, 5, BLOCK.subarray(5, 9)),
  frame(FRAME.CONTINUATION, FLAG.END_HEADERS, 5, BLOCK.subarray(9)),
  data(3, Buffer.alloc(300, 'x'), FLAG.END_STREAM),
  settings([4, 100]),
  windowUpdate(0, 1000),
  headers(7),
  rstStream(7),
  frame(0x99, 0, 0, Buffer.alloc(50)),
  headers(9, [[':method', 'POST']]),
  data(11, EMPTY),
]);

function outcomeOf(parts: readonly Buffer[]) {
  const peer = new ConnectionPeer();
  const output: Buffer[] = [];
  for (const part of parts) {
    peer.send(part);
    output.push(Buffer.from(peer.connection.takeOutput() ?? EMPTY));
  }
  return { events: peer.events, output: Buffer.concat(output).toString('hex'), error: peer.connection.error };
}

const WHOLE = outcomeOf([SESSION]);

test('the session has every kind of event, and ends with an error', () => {
  expect(WHOLE.events).toEqual([
    'request 1 /test.Echo/Echo',
    'data 1 "\0\0\0\0\x03one"',
    'end 1',
    'request 3 /test.Echo/Echo',
    'data 3 "ab"',
    'request 5 /test.Echo/Echo',
    'end 5',
    `data 3 "${'x'.repeat(300)}"`,
    'end 3',
    'request 7 /test.Echo/Echo',
    'reset 7',
    'reset 1',
    'reset 3',
    'reset 5',
  ]);
  expect(WHOLE.error?.reason).toBe('DATA on an idle stream');
});

test('the bytes of a session one by one have the same outcome as all together', () => {
  expect(outcomeOf([...SESSION].map((octet) => Buffer.of(octet)))).toEqual(WHOLE);
});

test('the bytes of a session cut anywhere have the same outcome as all together', () => {
  const cuts = fc.uniqueArray(fc.integer({ min: 1, max: SESSION.length - 1 }), { maxLength: 20 });
  fc.assert(
    fc.property(cuts, (unsorted) => {
      const places = [0, ...unsorted.toSorted((one, other) => one - other), SESSION.length];
      const parts = places.slice(1).map((end, index) => SESSION.subarray(places[index], end));
      expect(outcomeOf(parts)).toEqual(WHOLE);
    }),
  );
});

test('random bytes after the preface never throw', () => {
  fc.assert(
    fc.property(fc.array(fc.uint8Array({ minLength: 1, maxLength: 200 }), { maxLength: 5 }), (chunks) => {
      const peer = ConnectionPeer.open();
      for (const chunk of chunks) peer.send(Buffer.from(chunk));
      expect(peer.receivedInWords().every((text) => !text.startsWith('unknown'))).toBe(true);
    }),
  );
});

test('random frames never throw', () => {
  const randomFrame = fc
    .tuple(
      fc.integer({ min: 0, max: 10 }),
      fc.integer({ min: 0, max: 255 }),
      fc.integer({ min: 0, max: 9 }),
      fc.oneof(fc.constant(BLOCK), fc.uint8Array({ maxLength: 20 })),
    )
    .map(([type, flags, id, payload]) => frame(type, flags, id, payload));
  fc.assert(
    fc.property(fc.array(randomFrame, { maxLength: 20 }), (frames) => {
      const peer = ConnectionPeer.open();
      for (const each of frames) peer.send(each);
      const { error, activeStreams } = peer.connection;
      expect(error === undefined || activeStreams.size === 0).toBe(true);
    }),
    { numRuns: 1000 },
  );
});
