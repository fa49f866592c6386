/** Tests calls: what reaches a handler, and what the server responds for it (gRPC over HTTP/2). */
import { describe, expect, test } from 'vitest';
import { FLAG } from '../../src/http2/frames.ts';
import { connectCalls } from '../support/calls-peer.ts';
import {
  call,
  callFields,
  data,
  EMPTY,
  headers,
  message,
  parseFrames,
  rstStream,
  settings,
  windowUpdate,
} from '../support/frames.ts';

const echo = (bytes: Buffer): Buffer => bytes;
const T0 = 1_000_000;

describe('a call', () => {
  test('a call gets headers, a message and trailers', () => {
    const peer = connectCalls((bytes) => Buffer.from(`got ${bytes}`));
    peer.send(call(1, 'abc'));
    expect(peer.responses()).toEqual(
      new Map([
        [
          1,
          {
            headers: { ':status': '200', 'content-type': 'application/grpc', 'grpc-status': '0' },
            message: 'got abc',
            reset: undefined,
          },
        ],
      ]),
    );
    expect(peer.ends).toEqual(['answered']);
  });

  test('a call with an empty message gets an empty message', () => {
    const peer = connectCalls(echo);
    peer.send(call(1, ''));
    expect(peer.responses().get(1)).toMatchObject({ message: '', headers: { 'grpc-status': '0' } });
  });

  test('a handler gets the path and the deadline', () => {
    const seen: unknown[] = [];
    const peer = connectCalls((bytes, { path, deadlineMs }) => {
      seen.push(path, deadlineMs);
      return bytes;
    });
    peer.send(call(1, '', callFields({ 'grpc-timeout': '250m' })), call(3));
    expect(seen).toEqual(['/test.Echo/Echo', T0 + 250, '/test.Echo/Echo', Number.POSITIVE_INFINITY]);
  });

  test('a call has the headers that were asked for, and no others', () => {
    const seen: unknown[] = [];
    const peer = connectCalls((bytes, info) => {
      seen.push(info.header('traceparent'), info.header('x-other'), info.header('content-type'));
      return bytes;
    });
    peer.send(call(1, '', callFields({ traceparent: '00-1', 'x-other': 'o' })));
    expect(seen).toEqual(['00-1', undefined, undefined]);
  });

  test.each([
    ['one byte at a time', (bytes: Buffer) => [...bytes].map((octet) => Buffer.of(octet))],
    ['its prefix apart', (bytes: Buffer) => [bytes.subarray(0, 5), bytes.subarray(5)]],
    ['a part of its prefix apart', (bytes: Buffer) => [bytes.subarray(0, 2), bytes.subarray(2)]],
    [
      'empty frames between',
      (bytes: Buffer) => [EMPTY, bytes.subarray(0, 7), EMPTY, bytes.subarray(7), EMPTY],
    ],
  ])('whose message arrives with %s is answered', (_how, cut) => {
    const peer = connectCalls(echo);
    const parts = cut(message('0123456789'));
    peer.send(headers(1), ...parts.map((part) => data(1, part)), data(1, EMPTY, FLAG.END_STREAM));
    expect(peer.responses().get(1)).toMatchObject({ message: '0123456789' });
  });

  test('a call that ends with trailers gets a response', () => {
    const peer = connectCalls(echo);
    peer.send(headers(1), data(1, message('m')), headers(1, [['x-trailer', 'v']], FLAG.END_STREAM));
    expect(peer.responses().get(1)).toMatchObject({ message: 'm' });
  });

  test.each(['application/grpc', 'application/grpc+proto', 'application/grpc;charset=utf-8'])(
    'of type %s is answered',
    (type) => {
      const peer = connectCalls(echo);
      peer.send(call(1, 'm', callFields({ 'content-type': type })));
      expect(peer.responses().get(1)).toMatchObject({ message: 'm' });
    },
  );

  test('a call that is reset in the bytes that complete it does not reach its handler', () => {
    let handled = 0;
    const peer = connectCalls((bytes) => {
      handled++;
      return bytes;
    });
    peer.send(call(1), rstStream(1), call(3));
    expect([...peer.responses().keys()]).toEqual([3]);
    expect([handled, peer.ends]).toEqual([1, ['cancelled', 'answered']]);
  });

  test('a call beyond the limit on streams is not refused while complete calls wait in the same bytes', () => {
    const peer = connectCalls(echo, { maxConcurrentStreams: 2 });
    peer.send(...[1, 3, 5, 7, 9].map((id) => call(id, String(id))));
    expect([...peer.responses().values()].map((response) => response.message)).toEqual([
      '1',
      '3',
      '5',
      '7',
      '9',
    ]);
  });

  test('a call that flow control delays has not ended before all of its response is sent', () => {
    const peer = connectCalls(echo);
    peer.send(settings([4, 0]), call(1, 'abc'));
    expect([peer.responses().get(1)?.message, peer.ends]).toEqual([undefined, []]);
    peer.send(windowUpdate(1, 100));
    expect([peer.responses().get(1)?.message, peer.ends]).toEqual(['abc', ['answered']]);
  });
});

describe('a handler', () => {
  test('a handler can fail a call, with details that are percent-encoded', () => {
    const peer = connectCalls(() => ({ status: 'NOT_FOUND', details: 'no\nsuch 100% "é"' }));
    peer.send(call(1));
    expect(peer.responses().get(1)).toEqual({
      headers: {
        ':status': '200',
        'content-type': 'application/grpc',
        'grpc-status': '5',
        'grpc-message': 'no%0Asuch 100%25 "%C3%A9"',
      },
      message: undefined,
      reset: undefined,
    });
    expect(peer.ends).toEqual(['answered']);
  });

  test('a handler that throws fails its call with INTERNAL, and nothing of the error is sent', () => {
    const error = new Error('secret');
    const peer = connectCalls(() => {
      throw error;
    });
    peer.send(call(1));
    expect(peer.responses().get(1)?.headers).toMatchObject({
      'grpc-status': '13',
      'grpc-message': 'internal error',
    });
    expect(peer.handlerErrors).toEqual([error]);
  });

  test('a handler that rejects fails its call with INTERNAL', async () => {
    const error = new Error('secret');
    const peer = connectCalls(() => Promise.reject(error));
    peer.send(call(1));
    await Promise.resolve();
    await Promise.resolve();
    expect(peer.responses().get(1)?.headers).toMatchObject({
      'grpc-status': '13',
      'grpc-message': 'internal error',
    });
    expect([peer.handlerErrors, peer.announced()]).toEqual([[error], 1]);
  });

  test('handlers may return later, in any order', async () => {
    const waiting: ((answer: Buffer) => void)[] = [];
    const peer = connectCalls(() => new Promise((resolve) => waiting.push(resolve)));
    peer.send(call(1), call(3));
    expect(peer.responses().size).toBe(0);
    waiting[1]?.(Buffer.from('second'));
    waiting[0]?.(Buffer.from('first'));
    await Promise.resolve();
    expect([...peer.responses()].map(([id, response]) => [id, response.message])).toEqual([
      [3, 'second'],
      [1, 'first'],
    ]);
    expect(peer.announced()).toBe(2);
  });

  test('a handler whose call was reset sends nothing, and counts as a call until it is done', async () => {
    const waiting: ((answer: Buffer) => void)[] = [];
    const peer = connectCalls(() => new Promise((resolve) => waiting.push(resolve)), {
      maxConcurrentStreams: 1,
    });
    peer.send(call(1), Buffer.alloc(0));
    peer.send(rstStream(1), call(3));
    expect([...peer.responses()].map(([id, response]) => [id, response.reset])).toEqual([[3, 7]]);
    waiting[0]?.(Buffer.from('late'));
    await Promise.resolve();
    expect(peer.responses().size).toBe(0);
    peer.send(call(5));
    expect(peer.responses().size).toBe(0);
    expect(waiting.length).toBe(2);
    expect(peer.ends).toEqual(['cancelled']);
  });
});

test('a handler may return a Uint8Array that is not a Buffer, as protobuf encoders do', async () => {
  const results = [Uint8Array.of(104, 105), Promise.resolve(Uint8Array.of(104, 111))];
  const peer = connectCalls(() => results.shift() ?? Buffer.alloc(0));
  peer.send(call(1), call(3));
  await Promise.resolve();
  expect([...peer.responses().values()].map((answer) => answer.message)).toEqual(['hi', 'ho']);
});

describe('a handler that returns neither a message nor a failure', () => {
  const wrong = new TypeError('a handler returned neither a Uint8Array nor a Failure');

  test.each([
    ['undefined', undefined],
    ['a string', 'text'],
    ['an array of bytes', [1]],
    ['a failure with an unknown status', { status: 'toString', details: '' }],
    ['a failure with the status OK', { status: 'OK', details: '' }],
    ['a failure without details', { status: 'NOT_FOUND' }],
  ])('but %s fails its call with INTERNAL, at once or later', async (_what, result) => {
    const returned: unknown[] = [result, Promise.resolve(result)];
    const peer = connectCalls(() => returned.shift() as Buffer);
    peer.send(call(1), call(3));
    await Promise.resolve();
    expect([...peer.responses().values()].map(({ headers: fields }) => fields['grpc-status'])).toEqual([
      '13',
      '13',
    ]);
    expect(peer.handlerErrors).toEqual([wrong, wrong]);
  });
});

describe('a deadline', () => {
  const never = (): Promise<Buffer> => new Promise(() => undefined);

  test('a deadline that passes before the response ends the call with DEADLINE_EXCEEDED', () => {
    const peer = connectCalls(never);
    peer.send(
      call(1, '', callFields({ 'grpc-timeout': '100m' })),
      call(3, '', callFields({ 'grpc-timeout': '200m' })),
    );
    expect(peer.calls.earliestDeadlineMs).toBe(T0 + 100);
    peer.calls.expire(T0 + 99);
    expect(peer.responses().size).toBe(0);
    peer.calls.expire(T0 + 100);
    expect([...peer.responses()].map(([id, { headers: fields }]) => [id, fields['grpc-status']])).toEqual([
      [1, '4'],
    ]);
    expect([peer.ends, peer.calls.earliestDeadlineMs]).toEqual([['deadline'], T0 + 200]);
  });

  test('a call whose deadline passed before its message was complete is not handled', () => {
    let handled = 0;
    const peer = connectCalls((bytes) => {
      handled++;
      return bytes;
    });
    peer.send(headers(1, callFields({ 'grpc-timeout': '10m' })));
    peer.setTime(T0 + 10);
    peer.send(data(1, message(''), FLAG.END_STREAM));
    expect(peer.responses().get(1)?.headers['grpc-status']).toBe('4');
    expect([handled, peer.ends]).toEqual([0, ['deadline']]);
  });

  test('a call that the client resets at its deadline ends with the reason deadline', () => {
    const peer = connectCalls(never);
    const fields = callFields({ 'grpc-timeout': '100m' });
    peer.send(call(1, '', fields), call(3, '', fields));
    peer.setTime(T0 + 50);
    peer.send(rstStream(1));
    peer.setTime(T0 + 99);
    peer.send(rstStream(3));
    expect(peer.ends).toEqual(['cancelled', 'deadline']);
  });
});

/** What the server responds instead of a handler, and how. */
const REJECTED: readonly (readonly [
  what: string,
  frames: readonly Buffer[],
  status: string,
  details: string,
])[] = [
  [
    'of an unknown method',
    [call(1, '', callFields({ ':path': '/test.Echo/Other' }))],
    '12',
    'unknown method',
  ],
  [
    'with grpc-encoding gzip',
    [headers(1, callFields({ 'grpc-encoding': 'gzip' }))],
    '12',
    'unsupported grpc-encoding; only identity is accepted',
  ],
  [
    'with a compressed message but no grpc-encoding',
    [headers(1), data(1, message('x', true))],
    '13',
    'compressed message without grpc-encoding',
  ],
  [
    'without a message',
    [headers(1, undefined, FLAG.END_STREAM)],
    '12',
    'no request message for a unary method',
  ],
  [
    'with two messages in one frame',
    [headers(1), data(1, Buffer.concat([message('a'), message('b')]))],
    '12',
    'second request message for a unary method',
  ],
  [
    'with two messages in two frames',
    [headers(1), data(1, message('a')), data(1, message('b'))],
    '12',
    'second request message for a unary method',
  ],
  [
    'with a message that is cut off',
    [headers(1), data(1, message('abc').subarray(0, 6), FLAG.END_STREAM)],
    '13',
    'request message is truncated',
  ],
  [
    'with a prefix that is cut off',
    [headers(1), data(1, Buffer.alloc(4), FLAG.END_STREAM)],
    '13',
    'request message is truncated',
  ],
  [
    'with a message above the limit, as soon as its length is known',
    [headers(1), data(1, message(Buffer.alloc(1001)).subarray(0, 5))],
    '8',
    'message of 1001 bytes; at most 1000 are accepted',
  ],
  [
    'with a length of 4 GiB',
    [headers(1), data(1, Buffer.alloc(5, 0xff).fill(0, 0, 1))],
    '8',
    'message of 4294967295 bytes; at most 1000 are accepted',
  ],
  [
    'with a grpc-timeout that is not one',
    [headers(1, callFields({ 'grpc-timeout': '100' }))],
    '13',
    'invalid grpc-timeout',
  ],
  ['with a timeout of 0', [call(1, '', callFields({ 'grpc-timeout': '0n' }))], '4', 'deadline exceeded'],
  [
    'with headers above the limit',
    [headers(1, callFields({ 'x-long': 'a'.repeat(16_180) }))],
    '8',
    'headers exceed 16384 bytes or 100 fields',
  ],
];

describe('a call is rejected', () => {
  test.each(REJECTED)('%s', (_what, frames, status, details) => {
    const peer = connectCalls(() => {
      throw new Error('must not be called');
    });
    peer.send(...frames);
    expect(peer.responses().get(1)?.headers).toMatchObject({
      ':status': '200',
      'grpc-status': status,
      'grpc-message': details,
    });
    expect([peer.handlerErrors, peer.calls.connection.activeStreams.size]).toEqual([[], 0]);
  });

  test('a call with grpc-encoding gzip is rejected, and told which encodings are accepted', () => {
    const peer = connectCalls(echo);
    peer.send(headers(1, callFields({ 'grpc-encoding': 'gzip' })));
    expect(peer.responses().get(1)?.headers['grpc-accept-encoding']).toBe('identity');
    expect(peer.ends).toEqual(['rejected']);
  });

  test('a call rejected before it is complete gets RST_STREAM, so that the client stops sending (RFC 9113 §8.1)', () => {
    const peer = connectCalls(echo);
    peer.send(headers(1, callFields({ 'grpc-encoding': 'gzip' })));
    expect(peer.responses().get(1)?.reset).toBe(0);
  });

  test.each([
    ['its method is unknown', [headers(1, callFields({ ':path': '/none' }), FLAG.END_STREAM)]],
    ['its message is too large', [headers(1), data(1, message('a'.repeat(1001)), FLAG.END_STREAM)]],
  ])('a call whose request is complete is rejected without RST_STREAM: %s', (_what, frames) => {
    const peer = connectCalls(echo);
    peer.send(...frames);
    expect(peer.responses().get(1)?.reset).toBeUndefined();
    peer.send(data(1, EMPTY));
    expect(peer.calls.connection.error?.reason).toBe('DATA on a stream that has ended');
  });

  test('a call whose message does not arrive in time is rejected, and no call whose handler runs', () => {
    const peer = connectCalls(() => new Promise(() => undefined));
    peer.send(headers(1), call(3), headers(5), data(5, Buffer.alloc(3)));
    for (let tick = 0; tick < 4; tick++) peer.calls.tick(4);
    expect(peer.responses().size).toBe(0);
    peer.calls.tick(4);
    expect(
      [...peer.responses()].map(([id, { headers: fields }]) => [
        id,
        fields['grpc-status'],
        fields['grpc-message'],
      ]),
    ).toEqual([
      [1, '4', 'message not received in time'],
      [5, '4', 'message not received in time'],
    ]);
  });

  test.each([
    ['GET', callFields({ ':method': 'GET' }), '405'],
    ['a type that is not gRPC', callFields({ 'content-type': 'application/json' }), '415'],
    ['a type that only begins like gRPC', callFields({ 'content-type': 'application/grpc-web' }), '415'],
    ['no type', callFields({ 'content-type': undefined }), '415'],
  ])('by HTTP if it is a request with %s', (_what, fields, status) => {
    const peer = connectCalls(echo);
    peer.send(call(1, '', fields));
    expect(peer.responses().get(1)?.headers[':status']).toBe(status);
    // It is not a call, so it is not counted as one.
    expect(peer.ends).toEqual([]);
  });

  test('a request that is not gRPC gets an HTTP error when it is complete, whatever its body', () => {
    const peer = connectCalls(echo);
    peer.send(headers(1, callFields({ ':method': 'PUT' })), data(1, Buffer.from('not a message')));
    expect(peer.responses().size).toBe(0);
    peer.send(data(1, EMPTY, FLAG.END_STREAM));
    expect(peer.responses().get(1)?.headers).toEqual({
      ':status': '405',
      'content-type': 'text/plain',
      allow: 'POST',
    });
  });
});

test('a request that is not a call and is never completed is answered by HTTP, without a deadline', () => {
  const peer = connectCalls(echo);
  peer.send(headers(1, callFields({ ':method': 'PUT', 'grpc-timeout': '10m' })));
  expect(peer.calls.earliestDeadlineMs).toBe(Number.POSITIVE_INFINITY);
  for (let tick = 0; tick < 5; tick++) peer.calls.tick(4);
  const { headers: fields, reset } = peer.responses().get(1) ?? {};
  expect([fields?.[':status'], reset]).toEqual(['405', 0]);
});

test('such a request gets its response once, though flow control delays it', () => {
  const peer = connectCalls(echo);
  peer.send(settings([4, 0]), headers(1, callFields({ ':method': 'PUT' })));
  for (let tick = 0; tick < 9; tick++) peer.calls.tick(4);
  const frames = parseFrames(peer.calls.connection.takeOutput() ?? EMPTY);
  expect(frames.map(({ type }) => type)).toEqual(['SETTINGS', 'HEADERS']);
});

test('every call that has begun ends when the connection closes', () => {
  const peer = connectCalls(() => new Promise(() => undefined));
  peer.send(headers(1), call(3));
  peer.calls.connection.abandon();
  expect(peer.ends).toEqual(['cancelled', 'cancelled']);
});
