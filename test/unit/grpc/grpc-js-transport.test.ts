/** Tests that grpc-js, which logs header values of calls, logs nothing once the transport is loaded. */
import { experimental, logVerbosity, setLogVerbosity } from '@grpc/grpc-js';
import { expect, test, vi } from 'vitest';

test('grpc-js writes nothing to stderr, at any level', async () => {
  const error = vi.spyOn(console, 'error').mockImplementation(() => undefined);
  await import('../../../src/grpc/grpc-js-transport.ts');
  setLogVerbosity(logVerbosity.DEBUG);
  for (const level of [logVerbosity.DEBUG, logVerbosity.INFO, logVerbosity.ERROR]) {
    experimental.log(level, 'Failed to add metadata entry authorization: Bearer planted');
  }
  expect(error.mock.calls).toEqual([]);
});
