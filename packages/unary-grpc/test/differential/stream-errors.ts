/** What ends a stream only: malformed requests, and requests that gRPC refuses. */
import { FLAG, FRAME, frame } from '../../../../test/support/raw-http2.ts';
import {
  block,
  call,
  callWith,
  data,
  type Field,
  headers,
  message,
  REQUEST_FIELDS,
  requestFields,
  windowUpdate,
} from '../support/wire.ts';
import type { Scenario } from './scenario.ts';

const join = (...parts: readonly Buffer[]): Buffer => Buffer.concat(parts);
const HELLO = message('hello');

/** A stream that has been answered is closed. */
const CLOSED = { outcomeIfLate: 'connection error STREAM_CLOSED' };

type Row = readonly [section: string, name: string, bytes: Buffer, more?: Partial<Scenario>];

/** The second call shows that the connection goes on. */
function rows(outcome: string, list: readonly Row[]): Scenario[] {
  return list.map(([section, name, bytes, more]) => ({
    name,
    section,
    bytes: join(bytes, call(3, 'next')),
    outcome: `1: ${outcome}, 3: OK next`,
    ...more,
  }));
}

const fields = (...list: readonly Field[]): Buffer => call(1, 'hello', block(list));
const added = (name: string, value: string): Buffer => fields(...REQUEST_FIELDS, [name, value]);

export const STREAM_ERRORS: readonly Scenario[] = [
  ...rows('reset PROTOCOL_ERROR', [
    ['§8.2.1', 'a name in upper case', added('X-Name', 'a')],
    ['§8.2.1', 'an empty name', added('', 'a')],
    ['§8.2.1', 'a name with a space', added('x name', 'a')],
    ['§8.2.1', 'a name with a colon inside', added('x:name', 'a')],
    ['§8.2.1', 'a name with a byte above 0x7e', added('x-n\u00e4me', 'a')],
    ['§8.2.1', 'a value with NUL', added('x-name', 'a\0b')],
    ['§8.2.1', 'a value with a line feed', added('x-name', 'a\nb')],
    ['§8.2.1', 'a value with a carriage return', added('x-name', 'a\rb')],
    ['§8.2.1', 'a value that begins with a space', added('x-name', ' a')],
    ['§8.2.1', 'a value that ends with a tab', added('x-name', 'a\t')],
    ['§8.2.2', 'connection', added('connection', 'close')],
    ['§8.2.2', 'transfer-encoding', added('transfer-encoding', 'chunked')],
    ['§8.2.2', 'te other than trailers', callWith({ te: 'gzip' })],
    ['§8.3', 'a pseudo-field after a field', fields(...REQUEST_FIELDS.slice(1), [':method', 'POST'])],
    ['§8.3', 'an unknown pseudo-field', fields([':version', '2'], ...REQUEST_FIELDS)],
    ['§8.3', 'a pseudo-field of responses', fields([':status', '200'], ...REQUEST_FIELDS)],
    ['§8.3', 'a pseudo-field twice', fields([':path', '/a'], ...REQUEST_FIELDS)],
    ['§8.3.1', 'neither :authority nor Host', callWith({ ':authority': undefined })],
    ['§8.3.1', 'no :method', callWith({ ':method': undefined })],
    ['§8.3.1', 'no :scheme', callWith({ ':scheme': undefined })],
    ['§8.3.1', 'no :path', callWith({ ':path': undefined })],
    ['§8.3.1', 'an empty :path', callWith({ ':path': '' })],
    ['§8.3.1', 'a :path without a slash', callWith({ ':path': 'test.Echo/Echo' })],
    ['§8.3.1', ':authority and another Host', added('host', 'other')],
    [
      '§8.1',
      'trailers without END_STREAM',
      join(headers(1), data(1, HELLO, 0), headers(1, block([['x-a', 'b']]))),
    ],
    [
      '§8.1',
      'a pseudo-field in trailers',
      join(headers(1), data(1, HELLO, 0), headers(1, block([[':path', '/']]), FLAG.endStream)),
    ],
    ['§8.1.1', 'a content-length above the length of DATA', callWith({ 'content-length': '11' })],
    ['§8.1.1', 'a content-length below the length of DATA', callWith({ 'content-length': '9' })],
    ['§8.1.1', 'a content-length that is not a number', callWith({ 'content-length': '1x' })],
    ['§6.9', 'WINDOW_UPDATE of 0 for a stream', join(headers(1), windowUpdate(1, 0))],
  ]),
  ...rows('reset STREAM_CLOSED', [
    ['§5.1', 'HEADERS after the end of the request', join(call(1, 'hello'), headers(1)), CLOSED],
    ['§5.1', 'DATA after the end of the request', join(call(1, 'hello'), data(1, HELLO)), CLOSED],
  ]),
  ...rows('reset FLOW_CONTROL_ERROR', [
    ['§6.9.1', 'WINDOW_UPDATE beyond 2^31 - 1 for a stream', join(headers(1), windowUpdate(1, 2 ** 31 - 1))],
  ]),
  ...rows('reset FRAME_SIZE_ERROR', [
    ['§6.3', 'PRIORITY of 4 bytes', join(headers(1), frame(FRAME.priority, 0, 1, Buffer.alloc(4)))],
  ]),
  ...rows('status 12', [
    ['gRPC over HTTP/2', 'an unknown method', callWith({ ':path': '/test.Echo/Other' })],
    ['gRPC over HTTP/2', 'a path with a query', callWith({ ':path': '/test.Echo/Echo?a' })],
    ['gRPC compression', 'a grpc-encoding of gzip', callWith({ 'grpc-encoding': 'gzip' })],
    ['gRPC over HTTP/2', 'a second message', join(headers(1), data(1, join(HELLO, HELLO)))],
    ['gRPC over HTTP/2', 'no message', join(headers(1), data(1, Buffer.alloc(0)))],
    ['gRPC over HTTP/2', 'HEADERS that end the stream', headers(1, block(requestFields()), FLAG.endStream)],
  ]),
  ...rows('status 13', [
    [
      'gRPC over HTTP/2',
      'a compressed message without grpc-encoding',
      join(headers(1), data(1, message('hello', 1))),
    ],
    [
      'gRPC over HTTP/2',
      'a message that is shorter than its prefix says',
      join(headers(1), data(1, HELLO.subarray(0, 8))),
    ],
    ['gRPC over HTTP/2', 'half a prefix', join(headers(1), data(1, HELLO.subarray(0, 3)))],
    ['gRPC over HTTP/2', 'a compressed flag of 2', join(headers(1), data(1, message('hello', 2)))],
  ]),
  ...rows('HTTP 415', [
    ['gRPC over HTTP/2', 'a content-type other than gRPC', callWith({ 'content-type': 'application/json' })],
    ['gRPC over HTTP/2', 'no content-type', callWith({ 'content-type': undefined })],
  ]),
  ...rows('HTTP 405', [['gRPC over HTTP/2', 'a GET request', callWith({ ':method': 'GET' })]]),
];
