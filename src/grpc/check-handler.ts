/** Handles a Check call of grpc-js, unless its client no longer waits for the answer. */
import type { CheckHandler } from './transport.ts';

/** What is read of a grpc-js call. */
export interface CheckCall {
  readonly request: Buffer;
  readonly cancelled: boolean;
  readonly metadata: { get(name: string): readonly (string | Buffer)[] };
  /** Milliseconds since the epoch; infinite if the client set no timeout. */
  getDeadline(): Date | number;
}

type Respond = (error: null, response: Buffer) => void;

export function createCheckHandler(check: CheckHandler) {
  return (call: CheckCall, respond: Respond): void => {
    const deadlineMs = Number(call.getDeadline());
    if (isAbandoned(call, deadlineMs)) return;
    const response = check(call.request, { traceparent: traceparentOf(call), deadlineMs });
    if (response instanceof Promise) {
      void response.then((resolved) => {
        if (!isAbandoned(call, deadlineMs)) respond(null, resolved);
      });
    } else {
      respond(null, response);
    }
  };
}

function isAbandoned({ cancelled }: CheckCall, deadlineMs: number): boolean {
  return cancelled || deadlineMs <= Date.now();
}

function traceparentOf(call: CheckCall): string | undefined {
  return call.metadata.get('traceparent')[0]?.toString();
}
