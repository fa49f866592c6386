/** Unusual but valid requests. */
import { FLAG, FRAME, frame, literal, PREFACE } from '../../../../test/support/raw-http2.ts';
import {
  block,
  call,
  callWith,
  data,
  goAway,
  headers,
  message,
  PADDED,
  PRIORITY_FIELDS,
  padded,
  ping,
  REQUEST_BLOCK,
  REQUEST_FIELDS,
  requestFields,
  rstStream,
  settings,
  uint32,
  windowUpdate,
} from '../support/wire.ts';
import type { Scenario } from './scenario.ts';

const HELLO = message('hello');
const EMPTY = Buffer.alloc(0);
/** Stream 0 as dependency, weight 16. */
const PRIORITY = Buffer.from([0, 0, 0, 0, 15]);

const join = (...parts: readonly Buffer[]): Buffer => Buffer.concat(parts);

/** A header block in frames of one byte. */
function drippedHeaders(stream: number): Buffer {
  return join(
    ...Array.from(REQUEST_BLOCK.subarray(0, 3), (byte, index) =>
      frame(index === 0 ? FRAME.headers : FRAME.continuation, 0, stream, Buffer.of(byte)),
    ),
    frame(FRAME.continuation, FLAG.endHeaders, stream, REQUEST_BLOCK.subarray(3)),
  );
}

/** Each field enters the dynamic table (RFC 7541 §6.2.1), the oldest of which then has the index 62 + 6 - 1. */
const INDEXING = join(
  ...REQUEST_FIELDS.flatMap(([name, value]) => [Buffer.of(0x40), literal(name), literal(value)]),
);
const FROM_TABLE = Buffer.from(
  REQUEST_FIELDS.map((_, index) => 0x80 | (62 + REQUEST_FIELDS.length - 1 - index)),
);

/** `www.example.com` of RFC 7541 §C.4.1. */
const HUFFMAN_AUTHORITY = join(Buffer.of(0x01, 0x8c), Buffer.from('f1e3c2e5f23a6ba0ab90f4ff', 'hex'));

export const VALID: readonly Scenario[] = [
  { name: 'one call', section: '§8.1', bytes: call(1, 'hello'), outcome: '1: OK hello' },
  {
    name: 'two interleaved calls',
    section: '§5.1',
    bytes: join(headers(1), headers(3), data(3, message('three')), data(1, message('one'))),
    outcome: '1: OK one, 3: OK three',
  },
  {
    name: 'stream ids with gaps',
    section: '§5.1.1',
    bytes: join(call(5, 'five'), call(101, 'hundred')),
    outcome: '5: OK five, 101: OK hundred',
  },
  {
    name: 'a header block in four frames',
    section: '§6.10',
    bytes: join(drippedHeaders(1), data(1, HELLO)),
    outcome: '1: OK hello',
  },
  {
    name: 'an empty HEADERS frame and its CONTINUATION',
    section: '§6.10',
    bytes: join(
      frame(FRAME.headers, 0, 1),
      frame(FRAME.continuation, FLAG.endHeaders, 1, REQUEST_BLOCK),
      data(1, HELLO),
    ),
    outcome: '1: OK hello',
  },
  {
    name: 'HEADERS with padding and priority fields',
    section: '§6.2',
    bytes: join(
      headers(1, padded(join(PRIORITY, REQUEST_BLOCK), 7), PADDED | PRIORITY_FIELDS),
      data(1, HELLO),
    ),
    outcome: '1: OK hello',
  },
  {
    name: 'HEADERS whose priority names another idle stream',
    section: '§5.3.2',
    bytes: join(
      headers(1, join(uint32(0x8000_0063), Buffer.of(1), REQUEST_BLOCK), PRIORITY_FIELDS),
      data(1, HELLO),
    ),
    outcome: '1: OK hello',
  },
  {
    name: 'a message in padded DATA frames, cut inside its prefix',
    section: '§6.1',
    bytes: join(
      headers(1),
      data(1, padded(HELLO.subarray(0, 2), 255), PADDED),
      data(1, padded(HELLO.subarray(2, 6), 0), PADDED),
      data(1, padded(HELLO.subarray(6), 1), PADDED | FLAG.endStream),
    ),
    outcome: '1: OK hello',
  },
  {
    name: 'a message that an empty DATA frame ends',
    section: '§6.1',
    bytes: join(headers(1), data(1, HELLO, 0), data(1, EMPTY)),
    outcome: '1: OK hello',
  },
  {
    name: 'DATA of padding only',
    section: '§6.1',
    bytes: join(headers(1), data(1, padded(EMPTY, 20), PADDED), data(1, HELLO)),
    outcome: '1: OK hello',
  },
  {
    name: 'an empty message',
    section: 'gRPC over HTTP/2',
    bytes: call(1, ''),
    outcome: '1: OK ',
  },
  {
    name: 'trailers after the message',
    section: '§8.1',
    bytes: join(headers(1), data(1, HELLO, 0), headers(1, block([['x-checksum', '1']]), FLAG.endStream)),
    outcome: '1: OK hello',
  },
  {
    name: 'frames of unknown types, on the connection and on streams of any state',
    section: '§5.5',
    bytes: join(
      frame(0xbb, 0xff, 0, HELLO),
      frame(0xbc, 0, 9),
      headers(1),
      frame(0xbb, 0, 1, HELLO),
      data(1, HELLO),
      frame(0xbb, 0, 1, HELLO),
    ),
    outcome: '1: OK hello',
  },
  {
    name: 'undefined flags and the reserved bit of the stream id',
    section: '§4.1',
    bytes: join(
      headers(1, REQUEST_BLOCK, 0x42),
      frame(FRAME.data, FLAG.endStream | 0x76, 0x8000_0001, HELLO),
      frame(FRAME.ping, 0xfe, 0x8000_0000, Buffer.alloc(8)),
    ),
    outcome: '1: OK hello',
  },
  {
    name: 'PRIORITY frames for streams of any state',
    section: '§5.3.2',
    bytes: join(
      frame(FRAME.priority, 0, 7, PRIORITY),
      headers(1),
      frame(FRAME.priority, 0, 1, PRIORITY),
      data(1, HELLO),
      frame(FRAME.priority, 0, 1, PRIORITY),
    ),
    outcome: '1: OK hello',
  },
  {
    name: 'WINDOW_UPDATE for an open and for a closed stream',
    section: '§6.9',
    bytes: join(headers(1), windowUpdate(1, 10), data(1, HELLO), windowUpdate(1, 10)),
    outcome: '1: OK hello',
  },
  {
    name: 'a call that is cancelled before its message, and another',
    section: '§6.4',
    bytes: join(headers(1), rstStream(1, 8), call(3, 'three')),
    outcome: '3: OK three',
  },
  {
    name: 'unknown settings, and one setting twice',
    section: '§6.5.2',
    bytes: join(settings([0x99, 1], [4, 100], [4, 65_535], [0xffff, 7]), call(1, 'hello')),
    outcome: '1: OK hello',
  },
  {
    name: 'an acknowledgement of SETTINGS that were not sent',
    section: '§6.5.3',
    bytes: join(frame(FRAME.settings, FLAG.ack, 0), frame(FRAME.settings, FLAG.ack, 0), call(1, 'hello')),
    outcome: '1: OK hello',
  },
  {
    name: 'an acknowledgement of a PING that was not sent',
    section: '§6.7',
    bytes: join(ping('unknown', FLAG.ack), call(1, 'hello')),
    outcome: '1: OK hello',
  },
  {
    name: 'a window of 0, which is raised later',
    section: '§6.9.2',
    bytes: join(settings([4, 0]), call(1, 'hello'), windowUpdate(1, 4), windowUpdate(1, 100)),
    outcome: '1: OK hello',
  },
  {
    name: 'an initial window that is lowered below what was sent, and raised',
    section: '§6.9.2',
    bytes: join(settings([4, 3]), call(1, 'hello'), settings([4, 0]), settings([4, 20])),
    outcome: '1: OK hello',
  },
  {
    name: 'a message of 40 kB, sent within the initial window',
    section: '§6.9',
    bytes: join(
      headers(1),
      ...[0, 1].map(() => data(1, EMPTY, 0)),
      data(1, message('x'.repeat(40_000)).subarray(0, 16_384), 0),
      data(1, message('x'.repeat(40_000)).subarray(16_384, 32_768), 0),
      data(1, message('x'.repeat(40_000)).subarray(32_768)),
    ),
    outcome: '1: OK 40000 bytes',
  },
  {
    name: 'fields from the dynamic table',
    section: 'RFC 7541 §6.1',
    bytes: join(call(1, 'one', INDEXING), call(3, 'three', FROM_TABLE)),
    outcome: '1: OK one, 3: OK three',
  },
  {
    name: 'a table that is emptied and enlarged again',
    section: 'RFC 7541 §6.3',
    bytes: join(
      call(1, 'one', INDEXING),
      call(3, 'three', join(Buffer.of(0x20, 0x3f, 0xe1, 0x1f), INDEXING)),
      call(5, 'five', FROM_TABLE),
    ),
    outcome: '1: OK one, 3: OK three, 5: OK five',
  },
  {
    name: 'a value in Huffman code',
    section: 'RFC 7541 §5.2',
    bytes: call(
      1,
      'hello',
      join(
        block(requestFields({ ':authority': undefined }).slice(0, 3)),
        HUFFMAN_AUTHORITY,
        block(requestFields().slice(4)),
      ),
    ),
    outcome: '1: OK hello',
  },
  {
    name: 'fields that are never indexed',
    section: 'RFC 7541 §6.2.3',
    bytes: call(
      1,
      'hello',
      join(REQUEST_BLOCK, Buffer.of(0x10), literal('authorization'), literal('secret')),
    ),
    outcome: '1: OK hello',
  },
  {
    name: 'cookies in two fields',
    section: '§8.2.3',
    bytes: call(1, 'hello', block([...REQUEST_FIELDS, ['cookie', 'a=1'], ['cookie', 'b=2']])),
    outcome: '1: OK hello',
  },
  {
    name: 'Host instead of :authority',
    section: '§8.3.1',
    bytes: callWith({ ':authority': undefined, host: 'echo' }),
    outcome: '1: OK hello',
  },
  {
    name: 'a content-length that is right',
    section: '§8.1.1',
    bytes: callWith({ 'content-length': '10' }),
    outcome: '1: OK hello',
  },
  {
    name: 'a value with bytes above 0x7f and a tab inside',
    section: '§8.2.1',
    bytes: callWith({ 'x-name': 'J\u00f6rg\tK' }),
    outcome: '1: OK hello',
  },
  {
    name: 'an empty value',
    section: '§8.2.1',
    bytes: callWith({ 'x-empty': '' }),
    outcome: '1: OK hello',
  },
  {
    name: 'GOAWAY with a call in flight',
    section: '§6.8',
    bytes: join(headers(1), goAway(0), data(1, HELLO)),
    outcome: '1: OK hello',
  },
  {
    name: 'the first SETTINGS with the preface and a call in one packet',
    section: '§3.4',
    isWhole: true,
    bytes: join(PREFACE, settings([3, 100], [4, 1_000_000]), windowUpdate(0, 1_000_000), call(1, 'hello')),
    outcome: '1: OK hello',
  },
];
