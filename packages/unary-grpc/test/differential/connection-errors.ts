/** What ends a connection. */
import { FLAG, FRAME, frame, PREFACE } from '../../../../test/support/raw-http2.ts';
import {
  call,
  data,
  headers,
  message,
  PADDED,
  PRIORITY_FIELDS,
  REQUEST_BLOCK,
  settings,
  uint32,
  windowUpdate,
} from '../support/wire.ts';
import type { Scenario } from './scenario.ts';

const join = (...parts: readonly Buffer[]): Buffer => Buffer.concat(parts);
const zeros = (length: number): Buffer => Buffer.alloc(length);
const HELLO = message('hello');

type Row = readonly [section: string, name: string, bytes: Buffer, more?: Partial<Scenario>];

function rows(error: string, list: readonly Row[]): Scenario[] {
  return list.map(([section, name, bytes, more]) => ({
    name,
    section,
    bytes,
    outcome: `connection error ${error}`,
    ...more,
  }));
}

/** A header block after the fields of a request. */
const withBytes = (...bytes: readonly number[]): Buffer =>
  headers(1, join(REQUEST_BLOCK, Buffer.from(bytes)));

export const CONNECTION_ERRORS: readonly Scenario[] = [
  ...rows('PROTOCOL_ERROR', [
    [
      '§3.4',
      'a preface of another version',
      Buffer.from('PRI * HTTP/2.1\r\n\r\nSM\r\n\r\n'),
      { isWhole: true },
    ],
    ['§3.4', 'HTTP/1.1', Buffer.from('GET / HTTP/1.1\r\nhost: echo\r\n\r\n'), { isWhole: true }],
    ['§3.4', 'a call before the first SETTINGS', join(PREFACE, call(1, 'hello')), { isWhole: true }],
    [
      '§3.4',
      'an acknowledgement as the first SETTINGS',
      join(PREFACE, frame(FRAME.settings, FLAG.ack, 0)),
      { isWhole: true },
    ],
    ['§6.1', 'DATA on stream 0', data(0, HELLO)],
    ['§6.2', 'HEADERS on stream 0', headers(0)],
    ['§6.3', 'PRIORITY on stream 0', frame(FRAME.priority, 0, 0, zeros(5))],
    ['§6.4', 'RST_STREAM on stream 0', frame(FRAME.rstStream, 0, 0, zeros(4))],
    [
      'RFC 7540 §5.3.1',
      'PRIORITY that makes a stream depend on itself',
      frame(FRAME.priority, 0, 1, join(uint32(1), zeros(1))),
    ],
    ['§6.4', 'RST_STREAM for an idle stream', frame(FRAME.rstStream, 0, 1, uint32(8))],
    ['§6.5', 'SETTINGS on a stream', frame(FRAME.settings, 0, 1)],
    ['§6.5.2', 'ENABLE_PUSH of 2', settings([2, 2])],
    ['§6.5.2', 'MAX_FRAME_SIZE of 0', settings([5, 0])],
    ['§6.5.2', 'MAX_FRAME_SIZE of 16383', settings([5, 16_383])],
    ['§6.5.2', 'MAX_FRAME_SIZE of 2^24', settings([5, 2 ** 24])],
    ['§8.4', 'PUSH_PROMISE', frame(5, FLAG.endHeaders, 1, join(uint32(2), REQUEST_BLOCK))],
    ['§6.7', 'PING on a stream', frame(FRAME.ping, 0, 1, zeros(8))],
    ['§6.8', 'GOAWAY on a stream', frame(FRAME.goaway, 0, 1, zeros(8))],
    ['§6.9', 'WINDOW_UPDATE of 0 for the connection', windowUpdate(0, 0)],
    ['§6.9', 'WINDOW_UPDATE for an idle stream', windowUpdate(1, 1)],
    ['§6.10', 'CONTINUATION without HEADERS', frame(FRAME.continuation, FLAG.endHeaders, 1, REQUEST_BLOCK)],
    [
      '§6.10',
      'CONTINUATION after the last one',
      join(headers(1), frame(FRAME.continuation, FLAG.endHeaders, 1)),
    ],
    [
      '§6.10',
      'CONTINUATION of another stream',
      join(frame(FRAME.headers, 0, 1, REQUEST_BLOCK), frame(FRAME.continuation, FLAG.endHeaders, 3)),
    ],
    ['§6.10', 'DATA inside a header block', join(frame(FRAME.headers, 0, 1, REQUEST_BLOCK), data(1, HELLO))],
    [
      '§6.10',
      'PING inside a header block',
      join(frame(FRAME.headers, 0, 1, REQUEST_BLOCK), frame(FRAME.ping, 0, 0, zeros(8))),
    ],
    [
      '§5.5',
      'a frame of unknown type inside a header block',
      join(frame(FRAME.headers, 0, 1, REQUEST_BLOCK), frame(0xbb, 0, 1)),
    ],
    ['§5.1.1', 'an even stream id', headers(2)],
    ['§5.1.1', 'a stream id below the last one', join(call(5, 'five'), headers(3))],
    ['§5.1', 'DATA for an idle stream', data(1, HELLO)],
    [
      '§6.1',
      'DATA with more padding than payload',
      join(headers(1), data(1, Buffer.of(5, 1, 2, 3, 4), PADDED)),
    ],
    [
      '§6.2',
      'HEADERS with more padding than payload',
      headers(1, join(Buffer.of(255), REQUEST_BLOCK), PADDED),
    ],
  ]),
  ...rows('FRAME_SIZE_ERROR', [
    ['§4.2', 'a frame longer than MAX_FRAME_SIZE', join(headers(1), data(1, zeros(16_385)))],
    ['§4.2', 'an unknown frame longer than MAX_FRAME_SIZE', frame(0xbb, 0, 0, zeros(16_385))],
    ['§6.1', 'padded DATA without a pad length', join(headers(1), data(1, zeros(0), PADDED))],
    ['§6.2', 'HEADERS too short for their priority fields', headers(1, zeros(4), PRIORITY_FIELDS)],
    ['§6.4', 'RST_STREAM of 3 bytes', join(headers(1), frame(FRAME.rstStream, 0, 1, zeros(3)))],
    ['§6.5', 'SETTINGS of 5 bytes', frame(FRAME.settings, 0, 0, zeros(5))],
    ['§6.5', 'an acknowledgement of SETTINGS with a payload', frame(FRAME.settings, FLAG.ack, 0, zeros(6))],
    ['§6.7', 'PING of 7 bytes', frame(FRAME.ping, 0, 0, zeros(7))],
    ['§6.8', 'GOAWAY of 7 bytes', frame(FRAME.goaway, 0, 0, zeros(7))],
    ['§6.9', 'WINDOW_UPDATE of 3 bytes', frame(FRAME.windowUpdate, 0, 0, zeros(3))],
  ]),
  ...rows('FLOW_CONTROL_ERROR', [
    ['§6.5.2', 'INITIAL_WINDOW_SIZE of 2^31', settings([4, 2 ** 31])],
    ['§6.9.1', 'WINDOW_UPDATE beyond 2^31 - 1 for the connection', windowUpdate(0, 2 ** 31 - 1)],
    [
      '§6.9.2',
      'INITIAL_WINDOW_SIZE that overflows an open window',
      join(headers(1), windowUpdate(1, 2 ** 30), settings([4, 2 ** 31 - 1])),
    ],
  ]),
  ...rows('COMPRESSION_ERROR', [
    ['RFC 7541 §6.1', 'index 0', withBytes(0x80)],
    ['RFC 7541 §2.3.3', 'an index beyond both tables', withBytes(0xbe)],
    [
      'RFC 7541 §5.1',
      'an integer that does not end',
      withBytes(0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff),
    ],
    ['RFC 7541 §5.2', 'a string longer than the block', withBytes(0x00, 0x05, 0x61)],
    ['RFC 7541 §5.2', 'Huffman padding of 8 bits', withBytes(0x00, 0x82, 0x1f, 0xff, 0x01, 0x61)],
    ['RFC 7541 §5.2', 'Huffman padding with a zero bit', withBytes(0x00, 0x81, 0x1e, 0x01, 0x61)],
    [
      'RFC 7541 §5.2',
      'the end-of-string symbol in Huffman code',
      withBytes(0x00, 0x84, 0xff, 0xff, 0xff, 0xff, 0x01, 0x61),
    ],
    [
      'RFC 7541 §6.3',
      'a table above SETTINGS_HEADER_TABLE_SIZE',
      headers(1, join(Buffer.of(0x3f, 0xe2, 0x1f), REQUEST_BLOCK)),
    ],
    ['RFC 7541 §4.2', 'a table size update after a field', withBytes(0x20)],
  ]),
];
