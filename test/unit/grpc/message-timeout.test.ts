/** Tests that calls without a complete message end, and others do not. */
import { afterEach, beforeEach, expect, test, vi } from 'vitest';
import { createMessageTimeout } from '../../../src/grpc/message-timeout.ts';

beforeEach(() => void vi.useFakeTimers());
afterEach(() => void vi.useRealTimers());

test('a call ends between 5 and 6 seconds after its headers, unless its message is complete', () => {
  const ended: string[] = [];
  const timeout = createMessageTimeout<string>((call) => void ended.push(call));
  timeout.start('incomplete');
  const complete = timeout.start('complete');
  vi.advanceTimersByTime(1000);
  timeout.clear(complete, 'complete');
  // In the slot of the call that is complete.
  expect(timeout.start('later')).toBe(complete);
  // The end of a call is reported after its message was complete.
  timeout.clear(complete, 'complete');
  vi.advanceTimersByTime(4999);
  expect(ended).toEqual([]);
  vi.advanceTimersByTime(1);
  expect(ended).toEqual(['incomplete']);
  vi.advanceTimersByTime(10_000);
  expect(ended).toEqual(['incomplete', 'later']);
  timeout.stop();
});
