/** Tests that a shutdown ends every call of another method than Check, also one whose headers are still on their way. */
import { status } from '@grpc/grpc-js';
import { expect, test } from 'vitest';
import { OtherCalls } from '../../../src/grpc/other-calls.ts';

function call() {
  const codes: (status | null | undefined)[] = [];
  return { codes, sendStatus: ({ code }: { code?: status | null }) => void codes.push(code) };
}

test('a shutdown ends open calls with UNAVAILABLE, and those that are opened later at once', () => {
  const calls = new OtherCalls();
  const [open, ended, late] = [call(), call(), call()];
  expect([calls.add(open), calls.add(ended)]).toEqual([true, true]);
  calls.delete(ended);
  calls.shutDown();
  expect(calls.add(late)).toBe(false);
  expect([open.codes, ended.codes, late.codes]).toEqual([[status.UNAVAILABLE], [], [status.UNAVAILABLE]]);
});
