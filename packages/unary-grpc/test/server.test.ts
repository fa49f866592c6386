/** Tests the server with real sockets. */
import { once } from 'node:events';
import { connect as connectHttp2 } from 'node:http2';
import { connect, Socket } from 'node:net';
import { afterEach, describe, expect, test, vi } from 'vitest';
import { FLAG, FRAME } from '../src/http2/frames.ts';
import type { CallInfo, UnaryServerOptions } from '../src/index.ts';
import { createUnaryServer, type UnaryServer } from '../src/index.ts';
import {
  call,
  callFields,
  frame,
  headers,
  message,
  PREFACE,
  parseFrames,
  SETTINGS,
} from './support/frames.ts';

/** An upper bound for what takes no time on an idle machine. */
const PATIENCE = { timeout: 20_000, interval: 20 };
const PATH = '/test.Echo/Echo';

let server: UnaryServer;
const reasons: string[] = [];

async function start(options: Partial<UnaryServerOptions> = {}): Promise<number> {
  const methods = new Map([[PATH, { handle: (bytes: Buffer) => bytes }]]);
  server = createUnaryServer({
    methods,
    onConnectionError: (reason) => void reasons.push(reason),
    ...options,
  });
  const { port } = await server.listen({ host: '127.0.0.1', port: 0 });
  return port;
}

afterEach(async () => {
  await server.shutdown(0);
  reasons.length = 0;
});

/** A raw client that collects what it receives. */
async function open(port: number): Promise<{ socket: Socket; types(): string[]; closed: Promise<unknown> }> {
  const socket = connect(port, '127.0.0.1').on('error', () => undefined);
  const chunks: Buffer[] = [];
  socket.on('data', (bytes: Buffer) => void chunks.push(bytes));
  const closed = once(socket, 'close');
  await once(socket, 'connect');
  return { socket, closed, types: () => parseFrames(Buffer.concat(chunks)).map(({ type }) => type) };
}

describe('a server', () => {
  test('the server responds to a client of node:http2', async () => {
    const port = await start();
    const session = connectHttp2(`http://127.0.0.1:${port}`);
    const request = session.request({ ':method': 'POST', ':path': PATH, 'content-type': 'application/grpc' });
    request.end(message('hello'));
    const [trailers] = (await once(
      request.on('data', (bytes) => received.push(bytes)),
      'trailers',
    )) as [object];
    session.close();
    expect(Buffer.concat(received)).toEqual(message('hello'));
    expect(trailers).toMatchObject({ 'grpc-status': '0' });
  });
  const received: Buffer[] = [];

  test('calls that arrive in one read get their responses in one write', async () => {
    const port = await start();
    const client = await open(port);
    client.socket.write(Buffer.concat([PREFACE, SETTINGS, call(1, 'a'), call(3, 'b')]));
    await vi.waitFor(() => expect(client.types()).toHaveLength(9), PATIENCE);
    const response = ['HEADERS', 'DATA', 'HEADERS'];
    expect(client.types()).toEqual(['SETTINGS', 'WINDOW_UPDATE', 'SETTINGS', ...response, ...response]);
    client.socket.destroy();
  });

  test('the server reports why it closed a connection, after a GOAWAY', async () => {
    const port = await start();
    const client = await open(port);
    client.socket.write(Buffer.concat([PREFACE, SETTINGS, frame(FRAME.DATA, 0, 0)]));
    await client.closed;
    expect(client.types().slice(-1)).toEqual(['GOAWAY']);
    expect(reasons).toEqual(['DATA on stream 0']);
  });

  test('calls end at their deadline, without a timer for each', async () => {
    const port = await start({
      methods: new Map([[PATH, { handle: () => new Promise<Buffer>(() => undefined) }]]),
    });
    const session = connectHttp2(`http://127.0.0.1:${port}`);
    const request = session.request({
      ':method': 'POST',
      ':path': PATH,
      'content-type': 'application/grpc',
      'grpc-timeout': '20m',
    });
    request.end(message(''));
    const [fields] = (await once(request, 'response')) as [object];
    session.destroy();
    expect(fields).toMatchObject({ 'grpc-status': '4' });
  });

  test('the server stops reading from a client that does not read, and closes it in the end', async () => {
    const port = await start();
    const client = await open(port);
    client.socket.pause();
    const ping = frame(FRAME.PING, 0, 0, Buffer.alloc(8));
    client.socket.write(Buffer.concat([PREFACE, SETTINGS, ...Array.from({ length: 7000 }, () => ping)]));
    // 7,000 responses are more than the buffers of the system and ours take, unless they are large.
    client.socket.resume();
    await vi.waitFor(
      () => expect(client.types().filter((type) => type === 'PING')).toHaveLength(7000),
      PATIENCE,
    );
    client.socket.destroy();
    expect(reasons).toEqual([]);
  });
});

test.each([
  ['maxConcurrentStreams', 0],
  ['maxMessageBytes', 2 ** 31],
  ['maxHeaderListBytes', Number.POSITIVE_INFINITY],
])('a server is not created with %s = %d', async (name, value) => {
  await start();
  expect(() => createUnaryServer({ methods: new Map(), [name]: value })).toThrow(
    `${name} must be an integer from 1 to 2147483647`,
  );
});

test.each(['maxConnectionAgeMs', 'maxConnectionAgeGraceMs', 'keepaliveIntervalMs', 'keepaliveTimeoutMs'])(
  'a server is not created with %s = 0 or NaN',
  async (name) => {
    await start();
    for (const value of [0, Number.NaN]) {
      expect(() => createUnaryServer({ methods: new Map(), [name]: value })).toThrow(
        `${name} must be a number above 0`,
      );
    }
  },
);

test.each([
  ['grpc-timeout', 'headers: grpc-timeout is read by the server itself'],
  ['content-type', 'headers: content-type is read by the server itself'],
  ['te', 'headers: te is read by the server itself'],
  ['host', 'headers: host is read by the server itself'],
  [':path', 'headers: :path is read by the server itself'],
  ['connection', 'headers: connection is read by the server itself'],
  ['X-Trace', 'headers: "X-Trace" is not the name of a header in lower case'],
  ['', 'headers: "" is not the name of a header in lower case'],
])('a server is not created with the header %j', async (name, problem) => {
  await start();
  expect(() => createUnaryServer({ methods: new Map(), headers: [name] })).toThrow(new RangeError(problem));
});

test('a header that is asked for twice can be read', async () => {
  let seen: string | undefined;
  const handle = (bytes: Buffer, info: CallInfo): Buffer => {
    seen = info.header('x-a');
    return bytes;
  };
  const port = await start({ headers: ['x-a', 'x-a'], methods: new Map([[PATH, { handle }]]) });
  const client = await open(port);
  client.socket.write(Buffer.concat([PREFACE, SETTINGS, call(1, '', callFields({ 'x-a': 'yes' }))]));
  await vi.waitFor(() => expect(seen).toBe('yes'), PATIENCE);
  client.socket.destroy();
});

test('a connection whose observer throws is removed, so that the server can shut down', async () => {
  const onStarted = () => () => {
    throw new Error('observer');
  };
  const handle = () => new Promise<Buffer>(() => undefined);
  const port = await start({ methods: new Map([[PATH, { handle, onStarted }]]) });
  const client = await open(port);
  client.socket.write(Buffer.concat([PREFACE, SETTINGS, call(1, 'a')]));
  await vi.waitFor(() => expect(client.types()).toHaveLength(3), PATIENCE);
  const thrown = new Promise((resolve) => process.once('uncaughtException', resolve));
  client.socket.destroy();
  expect(await thrown).toEqual(new Error('observer'));
  expect(await server.shutdown(20_000)).toBeUndefined();
});

describe('a shutdown', () => {
  test('shutdown rejects a grace period that is not a number', async () => {
    await start();
    await expect(server.shutdown(Number.NaN)).rejects.toThrow('graceMs must be a number of 0 or more');
  });

  test('shutdown completes the calls in flight, then closes the connection', async () => {
    let answer: (bytes: Buffer) => void = () => undefined;
    const handle = () => new Promise<Buffer>((resolve) => (answer = resolve));
    const port = await start({ methods: new Map([[PATH, { handle }]]) });
    const client = await open(port);
    client.socket.write(Buffer.concat([PREFACE, SETTINGS, call(1, 'a')]));
    await vi.waitFor(() => expect(client.types()).toContain('SETTINGS'), PATIENCE);
    await vi.waitFor(() => expect(answer).not.toBeUndefined(), PATIENCE);
    const down = server.shutdown(20_000);
    await vi.waitFor(() => expect(client.types()).toContain('GOAWAY'), PATIENCE);
    client.socket.write(frame(FRAME.PING, FLAG.ACK, 0, Buffer.from('shutdown')));
    await vi.waitFor(
      () => expect(client.types().filter((type) => type === 'GOAWAY')).toHaveLength(2),
      PATIENCE,
    );
    answer(Buffer.from('b'));
    await client.closed;
    await down;
    expect(client.types().slice(-3)).toEqual(['HEADERS', 'DATA', 'HEADERS']);
  });

  test('shutdown does not wait for a client that answers no PING', async () => {
    const port = await start();
    const client = await open(port);
    client.socket.write(Buffer.concat([PREFACE, SETTINGS]));
    await vi.waitFor(() => expect(client.types()).toHaveLength(3), PATIENCE);
    await server.shutdown(20_000);
    await client.closed;
    expect(client.types().slice(-3)).toEqual(['GOAWAY', 'PING', 'GOAWAY']);
  });

  test('shutdown can be called twice', async () => {
    const port = await start();
    const client = await open(port);
    client.socket.write(Buffer.concat([PREFACE, SETTINGS, headers(1)]));
    await vi.waitFor(() => expect(client.types()).toHaveLength(3), PATIENCE);
    await Promise.all([server.shutdown(20_000), server.shutdown(1)]);
    expect(client.types()).toContain('GOAWAY');
  });

  test('shutdown accepts an infinite grace period', async () => {
    let answer: (bytes: Buffer) => void = () => undefined;
    const handle = () => new Promise<Buffer>((resolve) => (answer = resolve));
    const port = await start({ methods: new Map([[PATH, { handle }]]) });
    const client = await open(port);
    client.socket.write(Buffer.concat([PREFACE, SETTINGS, call(1, 'a')]));
    await vi.waitFor(() => expect(client.types()).toHaveLength(3), PATIENCE);
    const down = server.shutdown(Number.POSITIVE_INFINITY);
    await vi.waitFor(
      () => expect(client.types().filter((type) => type === 'GOAWAY')).toHaveLength(2),
      PATIENCE,
    );
    answer(Buffer.from('b'));
    await down;
    await client.closed;
    expect(client.types().slice(-3)).toEqual(['HEADERS', 'DATA', 'HEADERS']);
  });

  test('shutdown does not wait for a socket that was closed before it was accepted', async () => {
    await start();
    const socket = new Socket();
    socket.destroy();
    await once(socket, 'close');
    server.accept(socket);
    expect(await server.shutdown(20_000)).toBeUndefined();
  });

  test('shutdown destroys what is open after the grace period', async () => {
    const port = await start();
    const client = await open(port);
    client.socket.write(Buffer.concat([PREFACE, SETTINGS, headers(1)]));
    await vi.waitFor(() => expect(client.types()).toHaveLength(3), PATIENCE);
    await server.shutdown(1);
    await client.closed;
    expect(client.types()).toContain('GOAWAY');
  });
});
