/** Tests when a Check call is passed to the checker and answered, and which call info the checker receives. */
import { describe, expect, test, vi } from 'vitest';
import { type CheckCall, createCheckHandler } from '../../../src/grpc/check-handler.ts';
import type { CallInfo } from '../../../src/grpc/transport.ts';

const REQUEST = Buffer.from('request');
const RESPONSE = Buffer.from('response');

function callWith(fields: Partial<CheckCall> = {}): CheckCall {
  return {
    request: REQUEST,
    cancelled: false,
    metadata: { get: () => [] },
    getDeadline: () => Number.POSITIVE_INFINITY,
    ...fields,
  };
}

describe('a Check call', () => {
  test('is answered at once if the checker answers at once', () => {
    const respond = vi.fn();
    createCheckHandler(() => RESPONSE)(callWith(), respond);
    expect(respond.mock.calls).toEqual([[null, RESPONSE]]);
  });

  test('is answered later if the checker answers later', async () => {
    const respond = vi.fn();
    createCheckHandler(async () => RESPONSE)(callWith(), respond);
    expect(respond).not.toHaveBeenCalled();
    await Promise.resolve();
    expect(respond.mock.calls).toEqual([[null, RESPONSE]]);
  });

  test.each<[what: string, fields: Partial<CheckCall>]>([
    ['was cancelled', { cancelled: true }],
    ['is past its deadline', { getDeadline: () => new Date(Date.now() - 1) }],
  ])('that %s is not checked', (_what, fields) => {
    const [check, respond] = [vi.fn(() => RESPONSE), vi.fn()];
    createCheckHandler(check)(callWith(fields), respond);
    expect([check.mock.calls, respond.mock.calls]).toEqual([[], []]);
  });

  test('that is cancelled while it is checked is not answered', async () => {
    const respond = vi.fn();
    const call = { ...callWith(), cancelled: false };
    createCheckHandler(async () => RESPONSE)(call, respond);
    call.cancelled = true;
    await Promise.resolve();
    expect(respond).not.toHaveBeenCalled();
  });

  test.each<[what: string, fields: Partial<CheckCall>, info: CallInfo]>([
    [
      'neither deadline nor traceparent',
      {},
      { traceparent: undefined, deadlineMs: Number.POSITIVE_INFINITY },
    ],
    [
      'its deadline and traceparent',
      {
        getDeadline: () => new Date(9e12),
        metadata: { get: (name) => (name === 'traceparent' ? ['00-trace-span-01'] : []) },
      },
      { traceparent: '00-trace-span-01', deadlineMs: 9e12 },
    ],
  ])('reaches the checker as bytes, with %s', (_what, fields, info) => {
    const check = vi.fn(() => RESPONSE);
    createCheckHandler(check)(callWith(fields), () => undefined);
    expect(check.mock.calls).toEqual([[REQUEST, info]]);
  });
});
