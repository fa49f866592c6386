/** Tests Check calls through each transport on a real socket: what the checker receives, and who is answered. */
import { once } from 'node:events';
import { type ClientHttp2Session, type ClientHttp2Stream, connect, constants } from 'node:http2';
import { status } from '@grpc/grpc-js';
import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest';
import { createGrpcJsTransport } from '../../../src/grpc/grpc-js-transport.ts';
import { createLeanTransport } from '../../../src/grpc/lean-transport.ts';
import {
  CHECK_PATH,
  type CheckHandler,
  type CreateTransport,
  type Transport,
} from '../../../src/grpc/transport.ts';

const RESPONSE = Buffer.from('response');

let transport: Transport;
let session: ClientHttp2Session;
const check = vi.fn<CheckHandler>();
const onEnded = vi.fn();
const onAbandoned = vi.fn();

async function start(createTransport: CreateTransport): Promise<void> {
  check.mockReset().mockReturnValue(RESPONSE);
  onEnded.mockReset();
  onAbandoned.mockReset();
  transport = createTransport({
    check,
    onStarted: () => onEnded,
    onAbandoned,
    onListenerError: () => undefined,
    onConnectionError: () => undefined,
    unixSocketMode: 0o660,
    maxConnections: 10,
    maxConcurrentStreams: 10,
    maxConnectionAgeSeconds: 0,
    maxMessageBytes: 1000,
    maxMetadataBytes: 65_536,
    tls: undefined,
  });
  const address = await transport.listen({ kind: 'tcp', host: '127.0.0.1', port: 0 });
  if (address.kind !== 'tcp') throw new Error('not a TCP address');
  session = connect(`http://127.0.0.1:${address.port}`);
}

afterEach(async () => {
  session.destroy();
  await transport.shutdown(0);
});

/** A length-prefixed gRPC message. */
function messageOf(content: string): Buffer {
  const head = Buffer.alloc(5);
  head.writeUInt32BE(content.length, 1);
  return Buffer.concat([head, Buffer.from(content)]);
}

function openCall(headers: Record<string, string> = {}): ClientHttp2Stream {
  return session.request({
    ':method': 'POST',
    ':path': CHECK_PATH,
    'content-type': 'application/grpc',
    te: 'trailers',
    ...headers,
  });
}

/** The status of a call, and its answer without the length prefix. */
async function resultOf(call: ClientHttp2Stream): Promise<{ code: number; answer: string }> {
  let grpcStatus: unknown;
  const readStatus = (headers: Record<string, unknown>): void => {
    grpcStatus ??= headers['grpc-status'];
  };
  call.on('response', readStatus);
  call.on('trailers', readStatus);
  const chunks: Buffer[] = [];
  call.on('data', (chunk: Buffer) => chunks.push(chunk));
  await once(call, 'close');
  return { code: Number(grpcStatus), answer: Buffer.concat(chunks).subarray(5).toString() };
}

function call(message: Buffer, headers?: Record<string, string>) {
  const opened = openCall(headers);
  opened.end(message);
  return resultOf(opened);
}

describe.each([
  ['grpc-js', createGrpcJsTransport],
  ['lean', createLeanTransport],
])('a Check call over %s', (_name, createTransport) => {
  beforeEach(() => start(createTransport));

  test.each<[when: string, answer: () => Buffer | Promise<Buffer>]>([
    ['at once', () => RESPONSE],
    ['later', () => new Promise((resolve) => setImmediate(() => resolve(RESPONSE)))],
  ])('is answered %s as the checker answers, and is not counted as abandoned', async (_when, answer) => {
    check.mockImplementation(answer);
    expect(await call(messageOf('request'))).toEqual({ code: status.OK, answer: 'response' });
    await vi.waitFor(() => expect(onEnded).toHaveBeenCalledTimes(1));
    expect(onAbandoned).not.toHaveBeenCalled();
  });

  test('reaches the checker with its bytes, without deadline and traceparent if it has none', async () => {
    await call(messageOf('request'));
    const info = { traceparent: undefined, deadlineMs: Number.POSITIVE_INFINITY };
    expect(check.mock.calls).toEqual([[Buffer.from('request'), info]]);
  });

  test('reaches the checker with its traceparent and deadline', async () => {
    const before = Date.now();
    await call(messageOf('request'), { traceparent: '00-trace-span-01', 'grpc-timeout': '60S' });
    const info = check.mock.calls[0]?.[1];
    expect(info?.traceparent).toBe('00-trace-span-01');
    expect((info?.deadlineMs ?? 0) - before).toBeGreaterThanOrEqual(60_000);
    expect((info?.deadlineMs ?? 0) - Date.now()).toBeLessThanOrEqual(60_000);
  });

  test('whose deadline passes while it is checked ends with DEADLINE_EXCEEDED, whatever the checker answers', async () => {
    let answer: (response: Buffer) => void = () => undefined;
    check.mockReturnValue(
      new Promise((resolve) => {
        answer = resolve;
      }),
    );
    const result = await call(messageOf('request'), { 'grpc-timeout': '20m' });
    answer(RESPONSE);
    expect(result).toEqual({ code: status.DEADLINE_EXCEEDED, answer: '' });
    await vi.waitFor(() => expect(onAbandoned.mock.calls).toEqual([['deadline']]));
  });

  test('that is cancelled while it is checked is counted as abandoned', async () => {
    check.mockReturnValue(new Promise(() => undefined));
    const opened = openCall();
    opened.end(messageOf('request'));
    await vi.waitFor(() => expect(check).toHaveBeenCalledTimes(1));
    opened.close(constants.NGHTTP2_CANCEL);
    await vi.waitFor(() => expect(onAbandoned.mock.calls).toEqual([['cancelled']]));
    expect(onEnded).toHaveBeenCalledTimes(1);
  });

  test.each<[what: string, message: Buffer]>([
    ['without a message', Buffer.alloc(0)],
    ['with two messages', Buffer.concat([messageOf('one'), messageOf('two')])],
  ])('%s is UNIMPLEMENTED and not checked', async (_what, message) => {
    expect(await call(message)).toEqual({ code: status.UNIMPLEMENTED, answer: '' });
    expect(check).not.toHaveBeenCalled();
  });

  test('with a message over the limit is RESOURCE_EXHAUSTED and not checked', async () => {
    expect(await call(messageOf('x'.repeat(1001)))).toEqual({ code: status.RESOURCE_EXHAUSTED, answer: '' });
    expect(check).not.toHaveBeenCalled();
  });
});
