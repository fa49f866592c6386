/** Tests that a failed connection is described in words. */
import { expect, test } from 'vitest';
import { describeConnectionError } from '../../../src/sources/connection-problem.ts';

function errorWith(code: string, cause?: Error): Error {
  return Object.assign(new Error('connect failed', { cause }), { code });
}

test.each([
  ['a known code', errorWith('ECONNREFUSED'), 'connection refused (ECONNREFUSED)'],
  ['an unknown code', errorWith('ENEW'), 'ENEW'],
  ['no code', new Error('connect failed'), 'connect failed'],
  ['the code of the cause', errorWith('EOUTER', errorWith('ENOTFOUND')), 'no such host (ENOTFOUND)'],
])('a connection error with %s is described by it', (_name, error, text) => {
  expect(describeConnectionError(error)).toBe(text);
});
