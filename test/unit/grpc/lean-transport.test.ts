/** Tests the gRPC health protocol over the lean transport. */
import { once } from 'node:events';
import { connect } from 'node:http2';
import { connect as connectSocket } from 'node:net';
import { status } from '@grpc/grpc-js';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { createLeanTransport } from '../../../src/grpc/lean-transport.ts';
import { AUTHORIZATION_SERVICE, type Transport } from '../../../src/grpc/transport.ts';

const SERVING = '0801';
const NOT_SERVING = '0802';

const connectionErrors: string[] = [];
let transport: Transport;
let url: string;

beforeEach(async () => {
  transport = createLeanTransport({
    check: (message) => message,
    onStarted: () => () => undefined,
    onAbandoned: () => undefined,
    onListenerError: () => undefined,
    onConnectionError: (reason) => void connectionErrors.push(reason),
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
  url = `http://127.0.0.1:${address.port}`;
});

afterEach(() => transport.shutdown(0));

/** A HealthCheckRequest: field 1, `service`. */
function request(service: string): Buffer {
  const name = Buffer.from(service);
  return Buffer.concat([Buffer.of(0x0a, name.length), name]);
}

async function ask(message: Buffer, method = 'Check'): Promise<{ code: number; answer: string }> {
  const session = connect(url);
  const call = session.request({
    ':method': 'POST',
    ':path': `/grpc.health.v1.Health/${method}`,
    'content-type': 'application/grpc',
    te: 'trailers',
  });
  let code: unknown;
  const readStatus = (headers: Record<string, unknown>): void => {
    code ??= headers['grpc-status'];
  };
  const chunks: Buffer[] = [];
  call.on('response', readStatus).on('trailers', readStatus);
  call.on('data', (chunk: Buffer) => void chunks.push(chunk));
  call.end(Buffer.concat([Buffer.of(0, 0, 0, 0, message.length), message]));
  await once(call, 'close');
  session.destroy();
  return { code: Number(code), answer: Buffer.concat(chunks).subarray(5).toString('hex') };
}

describe('health', () => {
  test.each([
    ['an empty request', Buffer.alloc(0)],
    ['the name ""', request('')],
    ['the Authorization service', request(AUTHORIZATION_SERVICE)],
  ])('for %s is NOT_SERVING first, then what is set', async (_what, message) => {
    expect(await ask(message)).toEqual({ code: status.OK, answer: NOT_SERVING });
    transport.setServing(true);
    expect(await ask(message)).toEqual({ code: status.OK, answer: SERVING });
    transport.setServing(false);
    expect(await ask(message)).toEqual({ code: status.OK, answer: NOT_SERVING });
  });

  test.each([
    ['an unknown service', request('envoy.service.auth.v2.Authorization')],
    ['a service with a long name', Buffer.concat([Buffer.of(0x0a, 0xc8, 1), Buffer.alloc(200, 'a')])],
  ])('of %s is NOT_FOUND', async (_what, message) => {
    expect(await ask(message)).toEqual({ code: status.NOT_FOUND, answer: '' });
  });

  test.each([
    ['cut off', Buffer.of(0x0a, 5, 0x61)],
    ['of another field', Buffer.of(0x12, 1, 0x61)],
    ['of one byte', Buffer.of(0x0a)],
  ])('with a request that is %s is INVALID_ARGUMENT', async (_what, message) => {
    expect((await ask(message)).code).toBe(status.INVALID_ARGUMENT);
  });

  test('by Watch is UNIMPLEMENTED', async () => {
    expect((await ask(request(''), 'Watch')).code).toBe(status.UNIMPLEMENTED);
  });
});

test('a peer that does not speak HTTP/2 is reported', async () => {
  const socket = connectSocket(Number(new URL(url).port), '127.0.0.1');
  socket.resume().write('GET / HTTP/1.1\r\nHost: example.com\r\n\r\n');
  await once(socket, 'close');
  expect(connectionErrors).toEqual(['no HTTP/2 connection preface']);
});
