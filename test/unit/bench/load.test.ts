/** Tests the load of the bench: that it reads answers right, and that a wrong answer ends a run. */

import { once } from 'node:events';
import { createServer, type Http2Server, type ServerHttp2Stream } from 'node:http2';
import type { AddressInfo } from 'node:net';
import { afterEach, describe, expect, test } from 'vitest';
import { readResponse } from '../../../bench/http1-client.mjs';
import { closedLoop, createTally, inTurn, openLoop } from '../../../bench/load.mjs';
import { startPacer } from '../../../bench/pacer.mjs';
import { answerOf, grpcSenders } from '../../../bench/senders.mjs';
import { checksOf } from '../../../bench/workload.mjs';

const ALLOWED = Buffer.from([0x0a, 0x02, 0x08, 0x00]);
const DENIED = Buffer.from([0x0a, 0x02, 0x08, 0x10]);

describe('an answer', () => {
  test.each([
    ['allowed', 'a status with code 0', ALLOWED],
    ['allowed', 'a status without a code, which is then 0', Buffer.from([0x0a, 0x00, 0x1a, 0x00])],
    ['denied', 'a status with another code', DENIED],
    ['failed', 'an empty message', Buffer.alloc(0)],
    ['failed', 'no message', undefined],
  ])('is %s for %s', (answer, _words, message) => {
    expect(answerOf(message)).toBe(answer);
  });

  test('over HTTP/1.1 is read once its body is complete', () => {
    const response = Buffer.from('HTTP/1.1 401 Unauthorized\r\nContent-Length: 2\r\n\r\n{}');
    expect(readResponse(response)).toBe(401);
    expect(readResponse(response.subarray(0, -1))).toBeUndefined();
    expect(readResponse(response.subarray(0, 30))).toBeUndefined();
  });
});

describe('the gRPC load', () => {
  let server: Http2Server | undefined;
  afterEach(() => server?.close());

  /** A node:http2 server that records the headers of calls, and answers each. */
  async function start(settings: { headerTableSize?: number }, answer: Buffer) {
    const seen: unknown[] = [];
    server = createServer({ settings });
    server.on('stream', (stream: ServerHttp2Stream, headers) => {
      const chunks: Buffer[] = [];
      seen.push([headers[':path'], headers['te'], headers['grpc-timeout'], headers['x-forwarded-for']]);
      stream.on('data', (chunk: Buffer) => chunks.push(chunk));
      stream.on('end', () => {
        seen.push(Buffer.concat(chunks));
        stream.respond({ ':status': 200 }, { waitForTrailers: true });
        stream.on('wantTrailers', () => stream.sendTrailers({ 'grpc-status': '0' }));
        stream.end(Buffer.concat([Buffer.from([0, 0, 0, 0, answer.length]), answer]));
      });
    });
    server.listen(0, '127.0.0.1');
    await once(server, 'listening');
    return { port: (server.address() as AddressInfo).port, seen };
  }

  const HEADERS = ['/envoy.service.auth.v3.Authorization/Check', 'trailers', '5000m', '10.0.0.7'];

  test.each([
    ['with its HPACK table', {}],
    ['without a table, if the server has none', { headerTableSize: 0 }],
  ])('sends every call whole, %s', async (_words, settings) => {
    const { port, seen } = await start(settings, ALLOWED);
    const senders = await grpcSenders(port, 1, 2);
    const tally = createTally();
    const requests = checksOf('hot');
    const { count } = await closedLoop(senders, inTurn(requests), { seconds: 0, minimum: 5 }, tally);
    for (const sender of senders) sender.close();
    tally.check('the test');
    expect(count).toBe(5);
    expect(seen.filter(Array.isArray)).toEqual(Array.from({ length: 5 }, () => HEADERS));
    expect(seen.filter(Buffer.isBuffer)).toEqual(Array.from({ length: 5 }, () => requests[0]?.bytes));
  });

  test('ends a run whose answers are wrong, and says how many', async () => {
    const { port } = await start({}, DENIED);
    const senders = await grpcSenders(port, 1, 2);
    const tally = createTally();
    const pacer = startPacer();
    await openLoop(senders, inTurn(checksOf('refused')), Float64Array.from([0, 0, 1, 1]), tally, pacer);
    await pacer.close();
    for (const sender of senders) sender.close();
    expect(() => tally.check('a server')).toThrow('a server: of 4 answers, 2 denied instead of allowed');
  });
});
