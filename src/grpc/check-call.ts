/** Owns one call of Check around its answer: whether anybody still waits for it. */

/** What is read of a call, as the gRPC library tells it. */
export interface CheckCall {
  readonly request: Buffer;
  readonly cancelled: boolean;
  readonly metadata: { get(name: string): readonly (string | Buffer)[] };
  /** Milliseconds since the epoch; infinity where the client named none. */
  getDeadline(): Date | number;
}

export interface CheckCallOptions {
  /** Answers a CheckRequest message with a CheckResponse message. */
  readonly check: (message: Buffer, traceparent: string | undefined) => Buffer | Promise<Buffer>;
}

type Respond = (fault: null, answer: Buffer) => void;

export function createCheckHandler({ check }: CheckCallOptions) {
  return (call: CheckCall, respond: Respond): void => {
    if (isAbandoned(call)) return;
    const answer = check(call.request, traceparentOf(call));
    if (answer instanceof Promise) {
      void answer.then((response) => {
        if (!isAbandoned(call)) respond(null, response);
      });
    } else {
      respond(null, answer);
    }
  };
}

/** Whether a call's deadline (`grpc-timeout`) has passed, or will have in so many milliseconds. */
export function hasExpired(call: Pick<CheckCall, 'getDeadline'>, aheadMs = 0): boolean {
  return Number(call.getDeadline()) - aheadMs <= Date.now();
}

/** Looked at before the work, and again after waiting: an answer would be work for nobody. */
function isAbandoned(call: CheckCall): boolean {
  return call.cancelled || hasExpired(call);
}

/** W3C Trace Context, which Envoy adds to the call where it traces. */
function traceparentOf(call: CheckCall): string | undefined {
  return call.metadata.get('traceparent')[0]?.toString();
}
