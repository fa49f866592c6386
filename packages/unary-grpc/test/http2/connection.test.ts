/** Tests a connection with the frames of a client: which it accepts, and which errors the others end in. */
import { describe, expect, test } from 'vitest';
import { encodeFields } from '../../src/hpack/encoder.ts';
import { FLAG, FRAME } from '../../src/http2/frames.ts';
import { ConnectionPeer } from '../support/connection-peer.ts';
import {
  CALL_FIELDS,
  call,
  callFields,
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
  uint32,
  windowUpdate,
} from '../support/frames.ts';

const BLOCK = encodeFields(CALL_FIELDS);
const { DATA, HEADERS, PRIORITY, RST_STREAM, PUSH_PROMISE, GOAWAY, CONTINUATION } = FRAME;
const { END_STREAM, END_HEADERS, PADDED } = FLAG;

describe('the preface (§3.4)', () => {
  test('the server begins with SETTINGS, and WINDOW_UPDATE for the window of the connection', () => {
    const peer = new ConnectionPeer({ maxConcurrentStreams: 7 });
    const [first, second] = peer.received();
    expect(first).toMatchObject({ type: 'SETTINGS', flags: 0, stream: 0 });
    expect(first?.payload.toString('hex')).toBe(`${'000300000007'}${'00040000ffff'}${'000600004000'}`);
    expect(second?.payload.readUInt32BE()).toBe(2 ** 20 - 65_535);
  });

  test('the preface of the client is acknowledged', () => {
    const peer = new ConnectionPeer();
    peer.received();
    peer.send(PREFACE, SETTINGS);
    expect(peer.received()).toEqual([{ type: 'SETTINGS', flags: FLAG.ACK, stream: 0, payload: EMPTY }]);
    expect([peer.connection.hasPreface, peer.connection.isAcknowledged]).toEqual([true, false]);
    peer.send(SETTINGS_ACK);
    expect(peer.connection.isAcknowledged).toBe(true);
  });

  test.each([
    ['HTTP/1.1', [Buffer.from('GET / HTTP/1.1\r\n\r\n')], 'no HTTP/2 connection preface'],
    [
      'a preface that differs in its last octet',
      [Buffer.from('PRI * HTTP/2.0\r\n\r\nSM\r\n\rX')],
      'no HTTP/2 connection preface',
    ],
    [
      'a first frame that is not SETTINGS',
      [PREFACE, ping('12345678')],
      'no SETTINGS after the connection preface',
    ],
    [
      'a first frame that is SETTINGS ACK',
      [PREFACE, SETTINGS_ACK],
      'no SETTINGS after the connection preface',
    ],
  ])('ends the connection for %s', (_what, parts, reason) => {
    const peer = new ConnectionPeer();
    peer.received();
    peer.send(...parts);
    expect(peer.receivedInWords()).toEqual([`GOAWAY PROTOCOL_ERROR: ${reason}`]);
  });
});

/** What ends the connection. The frames follow the prefaces. */
const CONNECTION_ERRORS: readonly (readonly [what: string, frames: readonly Buffer[], goAway: string])[] = [
  [
    '§4.2: a frame of 16,385 bytes',
    [frame(DATA, 0, 1, Buffer.alloc(16_385))],
    'FRAME_SIZE_ERROR: a frame longer than SETTINGS_MAX_FRAME_SIZE',
  ],
  [
    '§4.3: a header block that does not decode',
    [frame(HEADERS, END_HEADERS, 1, Buffer.of(0xff, 0xff))],
    'COMPRESSION_ERROR',
  ],
  [
    '§4.3: a frame of another stream inside a header block',
    [frame(HEADERS, 0, 1, BLOCK), headers(3)],
    'PROTOCOL_ERROR: another frame inside a header block',
  ],
  [
    '§4.3: a frame of an unknown type inside a header block',
    [frame(HEADERS, 0, 1, BLOCK), frame(0x42, 0, 1)],
    'PROTOCOL_ERROR: another frame inside a header block',
  ],
  ['§5.1: DATA on an idle stream', [data(1, EMPTY)], 'PROTOCOL_ERROR: DATA on an idle stream'],
  [
    '§5.1: RST_STREAM on an idle stream',
    [rstStream(1)],
    'PROTOCOL_ERROR: RST_STREAM or WINDOW_UPDATE on an idle stream',
  ],
  [
    '§5.1: WINDOW_UPDATE on an idle stream',
    [windowUpdate(1, 1)],
    'PROTOCOL_ERROR: RST_STREAM or WINDOW_UPDATE on an idle stream',
  ],
  [
    '§5.1.1: HEADERS on a stream with an even id',
    [headers(2)],
    'PROTOCOL_ERROR: HEADERS on a stream with an even id',
  ],
  [
    '§5.1.1: DATA on a stream with an even id',
    [headers(5), data(2, EMPTY)],
    'PROTOCOL_ERROR: DATA on an idle stream',
  ],
  [
    '§5.1.1: HEADERS with an id below an earlier one',
    [headers(5), headers(3)],
    'PROTOCOL_ERROR: HEADERS with an id below that of an earlier stream',
  ],
  ['§6.1: DATA on stream 0', [data(0, EMPTY)], 'PROTOCOL_ERROR: DATA on stream 0'],
  [
    '§6.1: DATA with more padding than payload',
    [headers(1), data(1, Buffer.of(2, 0), PADDED)],
    'PROTOCOL_ERROR: DATA with more padding than payload',
  ],
  [
    '§6.1: padded DATA without a length of the padding',
    [headers(1), data(1, EMPTY, PADDED)],
    'FRAME_SIZE_ERROR: DATA without room for its padding',
  ],
  ['§6.2: HEADERS on stream 0', [headers(0)], 'PROTOCOL_ERROR: HEADERS on stream 0'],
  [
    '§6.2: HEADERS with more padding than payload',
    [frame(HEADERS, END_HEADERS | PADDED, 1, Buffer.of(9, 0x82))],
    'PROTOCOL_ERROR: HEADERS with more padding than payload',
  ],
  [
    '§6.2: HEADERS without room for its priority',
    [frame(HEADERS, END_HEADERS | FLAG.PRIORITY, 1, Buffer.alloc(4))],
    'FRAME_SIZE_ERROR: HEADERS without room for its fields',
  ],
  [
    '§6.3: PRIORITY on stream 0',
    [frame(PRIORITY, 0, 0, Buffer.alloc(5))],
    'PROTOCOL_ERROR: PRIORITY on stream 0',
  ],
  [
    '§6.3: PRIORITY of four bytes on an idle stream',
    [frame(PRIORITY, 0, 1, Buffer.alloc(4))],
    'FRAME_SIZE_ERROR: PRIORITY of 4 bytes',
  ],
  [
    'RFC 7540 §5.3.1: PRIORITY that depends on itself',
    [frame(PRIORITY, 0, 1, Buffer.of(0, 0, 0, 1, 0))],
    'PROTOCOL_ERROR: a stream that depends on itself',
  ],
  [
    'RFC 7540 §5.3.1: HEADERS that depend on themselves',
    [frame(HEADERS, END_HEADERS | FLAG.PRIORITY, 1, Buffer.concat([Buffer.of(0, 0, 0, 1, 0), BLOCK]))],
    'PROTOCOL_ERROR: a stream that depends on itself',
  ],
  ['§6.4: RST_STREAM on stream 0', [rstStream(0)], 'PROTOCOL_ERROR: RST_STREAM on stream 0'],
  [
    '§6.4: RST_STREAM of three bytes',
    [headers(1), frame(RST_STREAM, 0, 1, Buffer.alloc(3))],
    'FRAME_SIZE_ERROR: RST_STREAM of 3 bytes',
  ],
  ['§6.5: SETTINGS on a stream', [frame(FRAME.SETTINGS, 0, 1)], 'PROTOCOL_ERROR: SETTINGS on a stream'],
  [
    '§6.5: SETTINGS of five bytes',
    [frame(FRAME.SETTINGS, 0, 0, Buffer.alloc(5))],
    'FRAME_SIZE_ERROR: SETTINGS that is not a list of settings',
  ],
  [
    '§6.5: SETTINGS ACK with a payload',
    [frame(FRAME.SETTINGS, FLAG.ACK, 0, Buffer.alloc(6))],
    'FRAME_SIZE_ERROR: SETTINGS ACK with a payload',
  ],
  [
    '§6.6: PUSH_PROMISE',
    [headers(1), frame(PUSH_PROMISE, END_HEADERS, 1, Buffer.alloc(4))],
    'PROTOCOL_ERROR: PUSH_PROMISE sent by a client',
  ],
  ['§6.7: PING of seven bytes', [ping('1234567')], 'FRAME_SIZE_ERROR: PING of 7 bytes'],
  ['§6.7: PING on a stream', [frame(FRAME.PING, 0, 1, Buffer.alloc(8))], 'PROTOCOL_ERROR: PING on a stream'],
  ['§6.8: GOAWAY on a stream', [frame(GOAWAY, 0, 1, Buffer.alloc(8))], 'PROTOCOL_ERROR: GOAWAY on a stream'],
  [
    '§6.8: GOAWAY of seven bytes',
    [frame(GOAWAY, 0, 0, Buffer.alloc(7))],
    'FRAME_SIZE_ERROR: GOAWAY of 7 bytes',
  ],
  ['§6.9: WINDOW_UPDATE of 0 on the connection', [windowUpdate(0, 0)], 'PROTOCOL_ERROR: WINDOW_UPDATE of 0'],
  [
    '§6.9: WINDOW_UPDATE of five bytes',
    [frame(FRAME.WINDOW_UPDATE, 0, 0, Buffer.alloc(5))],
    'FRAME_SIZE_ERROR: WINDOW_UPDATE of 5 bytes',
  ],
  [
    '§6.9.1: a window of the connection above its limit',
    [windowUpdate(0, 2 ** 31 - 65_535)],
    'FLOW_CONTROL_ERROR: a window above 2^31-1 bytes',
  ],
  [
    '§6.10: CONTINUATION outside a header block',
    [headers(1), frame(CONTINUATION, END_HEADERS, 1, BLOCK)],
    'PROTOCOL_ERROR: CONTINUATION outside a header block',
  ],
  [
    '§6.10: CONTINUATION on stream 0',
    [frame(HEADERS, 0, 1, BLOCK), frame(CONTINUATION, END_HEADERS, 0)],
    'PROTOCOL_ERROR: another frame inside a header block',
  ],
];

describe('the connection ends with GOAWAY for', () => {
  test.each(CONNECTION_ERRORS)('%s', (_what, frames, goAway) => {
    const peer = ConnectionPeer.open();
    peer.send(...frames, ping('ignored!'));
    const [last, ...others] = peer.receivedInWords().reverse();
    expect(last).toContain(`GOAWAY ${goAway}`);
    // Nothing is read after a connection error (§5.4.1).
    expect(others).toEqual([]);
    expect(peer.connection.activeStreams.size).toBe(0);
  });

  test('an error while calls are open, and names the last of them', () => {
    const peer = ConnectionPeer.open();
    peer.send(headers(1), headers(7), windowUpdate(0, 0));
    const [goAway] = peer.received();
    expect(goAway?.payload.readUInt32BE()).toBe(7);
    expect(peer.events.slice(-2)).toEqual(['reset 1', 'reset 7']);
  });
});

/** What resets a stream. The connection goes on. */
const STREAM_ERRORS: readonly (readonly [what: string, frames: readonly Buffer[], code: string])[] = [
  ['§5.1: DATA after END_STREAM', [headers(1, CALL_FIELDS, END_STREAM), data(1, EMPTY)], 'STREAM_CLOSED'],
  [
    '§5.1: HEADERS after END_STREAM',
    [headers(1, CALL_FIELDS, END_STREAM), headers(1, [], END_STREAM)],
    'STREAM_CLOSED',
  ],
  ['§5.1: DATA after RST_STREAM', [headers(1), rstStream(1), data(1, EMPTY)], 'STREAM_CLOSED'],
  ['§5.1: HEADERS after RST_STREAM', [headers(1), rstStream(1), headers(1)], 'STREAM_CLOSED'],
  ['§6.3: PRIORITY of six bytes', [headers(1), frame(PRIORITY, 0, 1, Buffer.alloc(6))], 'FRAME_SIZE_ERROR'],
  ['§6.9: WINDOW_UPDATE of 0', [headers(1), windowUpdate(1, 0)], 'PROTOCOL_ERROR'],
  ['§6.9.1: a window above its limit', [headers(1), windowUpdate(1, 2 ** 31 - 65_535)], 'FLOW_CONTROL_ERROR'],
  [
    '§8.1: a second header block without END_STREAM',
    [headers(1), headers(1, [['a', 'b']])],
    'PROTOCOL_ERROR',
  ],
  [
    '§8.1: a pseudo-header field in trailers',
    [headers(1), headers(1, [[':path', '/']], END_STREAM)],
    'PROTOCOL_ERROR',
  ],
  [
    '§8.1.1: DATA beyond content-length',
    [headers(1, callFields({ 'content-length': '1' })), data(1, Buffer.alloc(2))],
    'PROTOCOL_ERROR',
  ],
  [
    '§8.1.1: END_STREAM before content-length',
    [headers(1, callFields({ 'content-length': '2' })), data(1, Buffer.alloc(1), END_STREAM)],
    'PROTOCOL_ERROR',
  ],
  [
    '§8.1.1: trailers before content-length',
    [headers(1, callFields({ 'content-length': '2' })), headers(1, [], END_STREAM)],
    'PROTOCOL_ERROR',
  ],
  [
    '§8.1.1: a request without body but with content-length',
    [headers(1, callFields({ 'content-length': '2' }), END_STREAM)],
    'PROTOCOL_ERROR',
  ],
  ['§8.2: a malformed request', [headers(1, callFields({ connection: 'close' }))], 'PROTOCOL_ERROR'],
];

describe('a stream is reset for', () => {
  test.each(STREAM_ERRORS)('%s', (_what, frames, code) => {
    const peer = ConnectionPeer.open();
    peer.send(...frames, call(9));
    expect(peer.receivedInWords()).toEqual([`RST_STREAM 1 ${code}`]);
    expect(peer.events.slice(-1)).toEqual(['end 9']);
    expect(peer.connection.activeStreams.values().map(({ id }) => id)).toEqual([9]);
  });
});

describe('a request', () => {
  test('a request may be padded, and have a priority (§6.1, §6.2)', () => {
    const peer = ConnectionPeer.open();
    const fields = Buffer.concat([Buffer.of(3), uint32(0), Buffer.of(200), BLOCK, Buffer.alloc(3)]);
    peer.send(
      frame(HEADERS, END_HEADERS | PADDED | FLAG.PRIORITY, 1, fields),
      data(1, Buffer.from('\x02ab\0\0', 'latin1'), PADDED | END_STREAM),
    );
    expect(peer.events).toEqual(['request 1 /test.Echo/Echo', 'data 1 "ab"', 'end 1']);
  });

  test('a request may be cut into HEADERS and CONTINUATION frames (§6.10)', () => {
    const peer = ConnectionPeer.open();
    peer.send(
      frame(HEADERS, END_STREAM, 1, BLOCK.subarray(0, 3)),
      frame(CONTINUATION, 0, 1, BLOCK.subarray(3, 7)),
      frame(CONTINUATION, END_HEADERS, 1, BLOCK.subarray(7)),
    );
    expect(peer.events).toEqual(['request 1 /test.Echo/Echo', 'end 1']);
  });

  test('a request may end with trailers (§8.1)', () => {
    const peer = ConnectionPeer.open();
    peer.send(headers(1), data(1, Buffer.from('a')), headers(1, [['x-trailer', 'v']], END_STREAM));
    expect(peer.events).toEqual(['request 1 /test.Echo/Echo', 'data 1 "a"', 'end 1']);
  });

  test('a request whose DATA is as long as its content-length is complete (§8.1.1)', () => {
    const peer = ConnectionPeer.open();
    peer.send(
      headers(1, callFields({ 'content-length': '2' })),
      data(1, Buffer.from('a')),
      data(1, Buffer.from('b'), END_STREAM),
    );
    expect(peer.events.slice(-1)).toEqual(['end 1']);
  });

  test('a request above the limit on concurrent streams is refused, and one after a response is not (§5.1.2)', () => {
    const peer = ConnectionPeer.open({ maxConcurrentStreams: 2 });
    peer.send(call(1), call(3), call(5));
    expect(peer.receivedInWords()).toEqual(['RST_STREAM 5 REFUSED_STREAM']);
    peer.answer(1, EMPTY);
    peer.send(call(7));
    expect(peer.events.slice(-1)).toEqual(['end 7']);
  });

  test('a request counts while its handler runs, though its stream was reset (CVE-2023-44487)', () => {
    const peer = ConnectionPeer.open({ maxConcurrentStreams: 1 });
    peer.send(call(1), rstStream(1));
    peer.connection.countOrphan(1);
    peer.send(call(3));
    expect(peer.receivedInWords()).toEqual(['RST_STREAM 3 REFUSED_STREAM']);
    peer.connection.countOrphan(-1);
    peer.send(call(5));
    expect(peer.events.slice(-1)).toEqual(['end 5']);
  });

  test('a header list above the limit is reported as too large, and the next is read', () => {
    const peer = ConnectionPeer.open({ maxHeaderListBytes: 1024 });
    peer.send(headers(1, callFields({ 'x-long': 'a'.repeat(1024) })), headers(3));
    expect(peer.events).toEqual(['request 1 /test.Echo/Echo, too large', 'request 3 /test.Echo/Echo']);
  });

  test('a header list with more than 100 fields is too large', () => {
    const peer = ConnectionPeer.open();
    const more = Array.from({ length: 95 }, (_, index) => [`x-${index}`, ''] as const);
    peer.send(headers(1, [...CALL_FIELDS, ...more.slice(1)]), headers(3, [...CALL_FIELDS, ...more]));
    expect(peer.events).toEqual(['request 1 /test.Echo/Echo', 'request 3 /test.Echo/Echo, too large']);
  });
});

describe('frames are ignored', () => {
  test('frames of a stream that we have reset are ignored, while they may still be under way (§5.1)', () => {
    const peer = ConnectionPeer.open();
    peer.send(headers(1));
    peer.connection.answerWithoutBody(peer.stream(1), EMPTY);
    expect(peer.receivedInWords()).toEqual(['HEADERS 1 (0)', 'RST_STREAM 1 NO_ERROR']);
    peer.send(
      data(1, EMPTY),
      headers(1, [], END_STREAM),
      windowUpdate(1, 1),
      windowUpdate(1, 0),
      rstStream(1),
    );
    expect(peer.receivedInWords()).toEqual([]);
  });

  test('WINDOW_UPDATE and RST_STREAM of a stream that has ended are ignored (§5.1)', () => {
    const peer = ConnectionPeer.open();
    peer.send(call(1));
    peer.answer(1, EMPTY);
    peer.received();
    peer.send(windowUpdate(1, 1), rstStream(1));
    expect(peer.receivedInWords()).toEqual([]);
  });

  test('DATA of refused calls is ignored, however many were opened before SETTINGS arrived', () => {
    const peer = new ConnectionPeer({ maxConcurrentStreams: 100 });
    const ids = Array.from({ length: 1000 }, (_, index) => 2 * index + 1);
    peer.send(PREFACE, SETTINGS, ...ids.map((id) => headers(id)));
    peer.received();
    peer.send(...ids.map((id) => data(id, Buffer.alloc(100), END_STREAM)));
    expect(peer.receivedInWords()).toEqual([]);
    expect(peer.events.filter((event) => event.startsWith('end'))).toHaveLength(100);
  });

  test('frames of unknown types (§5.5) are ignored, and PRIORITY, also of idle and closed streams (§6.3)', () => {
    const peer = ConnectionPeer.open();
    const priority = (id: number): Buffer => frame(PRIORITY, 0, id, Buffer.of(0, 0, 0, 0, 16));
    peer.send(
      frame(0xbe, 0xff, 0, Buffer.alloc(100)),
      frame(0xbe, 0, 99),
      priority(1),
      headers(1),
      priority(1),
    );
    peer.send(rstStream(1), priority(1), headers(3));
    expect(peer.receivedInWords()).toEqual([]);
    expect(peer.events.slice(-1)).toEqual(['request 3 /test.Echo/Echo']);
  });

  test('open streams go on after a GOAWAY of the client, which opens no more (§6.8)', () => {
    const peer = ConnectionPeer.open();
    peer.send(headers(1), frame(GOAWAY, 0, 0, Buffer.alloc(8)), data(1, EMPTY, END_STREAM));
    expect(peer.events.slice(-1)).toEqual(['end 1']);
    expect(peer.receivedInWords()).toEqual([]);
  });

  test('DATA and HEADERS of a stream that has ended end the connection (§5.1)', () => {
    for (const late of [data(1, EMPTY), headers(1)]) {
      const peer = ConnectionPeer.open();
      peer.send(call(1));
      peer.answer(1, EMPTY);
      peer.received();
      peer.send(late);
      expect(peer.receivedInWords()).toEqual([expect.stringContaining('GOAWAY STREAM_CLOSED')]);
    }
  });
});

describe('the dynamic table of HPACK stays in step (§4.3) after', () => {
  /** A block that adds `x-kept: v` to the table, and one that refers to it. */
  const added = Buffer.concat([BLOCK, Buffer.of(0x40), Buffer.from('\x06x-kept\x01v', 'latin1')]);
  const reference = Buffer.concat([BLOCK, Buffer.of(0xbe)]);

  test.each([
    ['a stream that is refused', [call(1), frame(HEADERS, END_HEADERS, 3, added)]],
    [
      'a request that is malformed',
      [call(1), frame(HEADERS, END_HEADERS, 3, Buffer.concat([encodeFields([['connection', 'x']]), added]))],
    ],
    [
      'HEADERS on a stream that is closed',
      [call(1), headers(3), rstStream(3), frame(HEADERS, END_HEADERS, 3, added)],
    ],
  ])('%s', (_what, frames) => {
    const peer = ConnectionPeer.open({ maxConcurrentStreams: 1 });
    peer.send(...frames);
    peer.answer(1, EMPTY);
    peer.send(frame(HEADERS, END_HEADERS, 5, reference));
    expect(peer.connection.error).toBeUndefined();
    expect(peer.events.slice(-1)).toEqual(['request 5 /test.Echo/Echo']);
  });
});

describe('PING (§6.7)', () => {
  test('a PING is acknowledged with its eight bytes', () => {
    const peer = ConnectionPeer.open();
    peer.send(ping('abcdefgh'));
    expect(peer.received()).toEqual([
      { type: 'PING', flags: FLAG.ACK, stream: 0, payload: Buffer.from('abcdefgh') },
    ]);
  });

  test('a PING with ACK is not acknowledged', () => {
    const peer = ConnectionPeer.open();
    peer.send(ping('abcdefgh', FLAG.ACK));
    expect(peer.receivedInWords()).toEqual([]);
  });
});

describe('SETTINGS (§6.5)', () => {
  const ENABLE_PUSH = 2;
  const INITIAL_WINDOW_SIZE = 4;
  const MAX_FRAME_SIZE = 5;

  test.each([
    [ENABLE_PUSH, 2, 'PROTOCOL_ERROR'],
    [INITIAL_WINDOW_SIZE, 2 ** 31, 'FLOW_CONTROL_ERROR'],
    [MAX_FRAME_SIZE, 16_383, 'PROTOCOL_ERROR'],
    [MAX_FRAME_SIZE, 0, 'PROTOCOL_ERROR'],
    [MAX_FRAME_SIZE, 2 ** 24, 'PROTOCOL_ERROR'],
  ])('that set %i to %i end the connection with %s', (id, value, code) => {
    const peer = ConnectionPeer.open();
    peer.send(settings([id, value]));
    expect(peer.receivedInWords()).toEqual([expect.stringContaining(`GOAWAY ${code}: `)]);
  });

  test('settings within their ranges are acknowledged, unknown ones too', () => {
    const peer = ConnectionPeer.open();
    peer.send(
      settings(
        [1, 0],
        [ENABLE_PUSH, 1],
        [3, 0],
        [INITIAL_WINDOW_SIZE, 2 ** 31 - 1],
        [MAX_FRAME_SIZE, 2 ** 24 - 1],
        [6, 0],
        [0x9999, 2 ** 32 - 1],
      ),
    );
    expect(peer.receivedInWords()).toEqual(['SETTINGS 0 (0)']);
  });

  test('SETTINGS with 32 settings are accepted, and with 33 end the connection', () => {
    const peer = ConnectionPeer.open();
    const many = Array.from({ length: 33 }, () => [3, 1] as const);
    peer.send(settings(...many.slice(1)));
    expect(peer.receivedInWords()).toEqual(['SETTINGS 0 (0)']);
    peer.send(settings(...many));
    expect(peer.receivedInWords()).toEqual(['GOAWAY ENHANCE_YOUR_CALM: SETTINGS with too many settings']);
  });

  test('after the table size is lowered to 0, the next header block begins with a size update (RFC 7541 §4.2)', () => {
    const peer = ConnectionPeer.open();
    peer.send(settings([1, 0], [1, 4096]), call(1), call(3));
    peer.answer(1, EMPTY);
    peer.answer(3, EMPTY);
    const blocks = peer.received().filter(({ type }) => type === 'HEADERS');
    expect(blocks.map(({ payload }) => payload[0])).toEqual([0x20, 0x00, 0x88, 0x00]);
  });
});

describe('a shutdown (§6.8)', () => {
  test('a shutdown announces itself, learns by a PING which streams were opened before, and refuses later ones', () => {
    const peer = ConnectionPeer.open();
    peer.send(headers(1));
    peer.connection.shutDown();
    const [goAway, probe] = peer.received();
    expect([goAway?.payload.readUInt32BE(), probe?.type]).toEqual([2 ** 31 - 1, 'PING']);
    // It may have crossed the GOAWAY.
    peer.send(
      headers(3),
      frame(FRAME.PING, FLAG.ACK, 0, probe?.payload ?? EMPTY),
      headers(5),
      data(5, EMPTY),
    );
    const [final, ...others] = peer.received();
    expect([final?.type, final?.payload.readUInt32BE(), others]).toEqual(['GOAWAY', 3, []]);
    expect(peer.events).toEqual(['request 1 /test.Echo/Echo', 'request 3 /test.Echo/Echo']);
  });

  test('a shutdown is finished when every stream before it has ended', () => {
    const peer = ConnectionPeer.open();
    peer.send(call(1));
    peer.connection.shutDown();
    peer.connection.refuseStreams();
    expect(peer.connection.isFinished).toBe(false);
    peer.answer(1, EMPTY);
    expect(peer.connection.isFinished).toBe(true);
  });

  test('a shutdown begins when three quarters of the stream ids are used', () => {
    const peer = ConnectionPeer.open();
    peer.send(headers(0.75 * 2 ** 31 - 1));
    expect(peer.connection.isShuttingDown).toBe(false);
    peer.send(headers(0.75 * 2 ** 31 + 1));
    expect(peer.connection.isShuttingDown).toBe(true);
  });
});
