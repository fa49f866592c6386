/** Tests README.md: its example runs, and its table of limits has the values of the source. */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import { connect } from 'node:http2';
import { fileURLToPath } from 'node:url';
import { expect, test } from 'vitest';
import * as limits from '../src/limits.ts';
import { message } from './support/frames.ts';

const PACKAGE = fileURLToPath(new URL('..', import.meta.url));
const README = readFileSync(`${PACKAGE}README.md`, 'utf8');

test('the example answers calls, and ends on SIGTERM', async () => {
  const [, example = ''] = /```js\n(.*?)```/s.exec(README) ?? [];
  const child = spawn(process.execPath, ['--input-type=module', '--eval', example], {
    cwd: PACKAGE,
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  const failed = once(child, 'exit').then(([code]) => Promise.reject(new Error(`it exited with ${code}`)));
  const [line] = (await Promise.race([once(child.stdout, 'data'), failed])) as [Buffer];
  failed.catch(() => undefined);
  const session = connect(`http://127.0.0.1:${/\d+/.exec(String(line))}`);
  const headers = { ':method': 'POST', 'content-type': 'application/grpc', te: 'trailers' };
  const greeting = session.request({ ...headers, ':path': '/example.Greeter/Greet' });
  greeting.end(message('you'));
  const [response] = (await once(greeting, 'data')) as [Buffer];
  const failure = session.request({ ...headers, ':path': '/example.Greeter/Fail' });
  failure.end(message(''));
  const [fields] = (await once(failure, 'response')) as [object];
  session.close();
  child.kill('SIGTERM');
  expect(await once(child, 'exit')).toEqual([0, null]);
  expect(response).toEqual(message('hello you'));
  expect(fields).toMatchObject({ 'grpc-status': '5', 'grpc-message': 'nobody is here' });
});

test.each([
  ['`maxConcurrentStreams`, 256', limits.DEFAULT_MAX_CONCURRENT_STREAMS, 256],
  ['`maxMessageBytes`, 4 MiB', limits.DEFAULT_MAX_MESSAGE_BYTES, 4 * 2 ** 20],
  ['`maxHeaderListBytes`, 16 KiB, and 100 fields', limits.DEFAULT_MAX_HEADER_LIST_BYTES, 16 * 2 ** 10],
  ['and 100 fields', limits.MAX_HEADER_FIELDS, 100],
  ['GOAWAY at four times as much', limits.HEADER_LIST_EXCESS, 4],
  ['that size + 16 KiB', limits.SPARE_HEADER_BLOCK_BYTES, 16 * 2 ** 10],
  ['in 4 CONTINUATION frames more', limits.SPARE_CONTINUATIONS, 4],
  ['16 MiB for a connection', limits.MAX_INCOMPLETE_BYTES, 16 * 2 ** 20],
  ['64 MiB for the server', limits.MAX_INCOMPLETE_BYTES_OF_SERVER, 64 * 2 ** 20],
  ['| a read | 32 KiB |', limits.LARGE_READ_BYTES, 32 * 2 ** 10],
  ['| settings in one SETTINGS frame | 32 |', limits.MAX_SETTINGS_ENTRIES, 32],
  ['for a header block, and for a message | 5 s each', limits.PREFACE_TIMEOUT_MS, 5000],
  ['for a header block, and for a message | 5 s each', limits.MESSAGE_TIMEOUT_MS, 5000],
  ['by flow control | 10 s', limits.STALLED_WRITE_TIMEOUT_MS, 10_000],
  ['| time for the SETTINGS ACK | 10 s |', limits.SETTINGS_ACK_TIMEOUT_MS, 10_000],
  ['three quarters of 2³¹', limits.MAX_STREAM_ID, 0.75 * 2 ** 31],
])('the limits say "%s"', (text, value, stated) => {
  expect(README).toContain(text);
  expect(value).toBe(stated);
});
