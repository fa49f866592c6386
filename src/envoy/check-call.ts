/** Owns one call of Check around its answer: whether its headers are within the limit, and whether anybody still waits. */

/** What is read of a call, as the gRPC library tells it. */
export interface CheckCall {
  readonly request: Buffer;
  readonly cancelled: boolean;
  readonly metadata: {
    get(name: string): readonly (string | Buffer)[];
    toJSON(): Readonly<Record<string, readonly (string | Buffer)[]>>;
  };
  /** Milliseconds since the epoch; infinity where the client named none. */
  getDeadline(): Date | number;
}

export interface CheckCallOptions {
  /** Answers a CheckRequest message with a CheckResponse message. */
  readonly check: (message: Buffer, traceparent: string | undefined) => Buffer | Promise<Buffer>;
  /** Most bytes of a call's HTTP/2 headers (RFC 9113 §10.5.1); a call with more ends as RESOURCE_EXHAUSTED. */
  readonly maxHeaderBytes: number;
}

type Respond = (fault: { readonly code: number; readonly details: string } | null, answer?: Buffer) => void;

/** gRPC's status code. */
const RESOURCE_EXHAUSTED = 8;
/** Most bytes of headers that Node takes by itself; a call with more never reaches us. */
const NODE_MAX_HEADER_BYTES = 65_535;

export function createCheckHandler({ check, maxHeaderBytes }: CheckCallOptions) {
  return (call: CheckCall, respond: Respond): void => {
    if (isOverLimit(call, maxHeaderBytes)) {
      respond({ code: RESOURCE_EXHAUSTED, details: `headers of over ${maxHeaderBytes} bytes` });
      return;
    }
    if (isGivenUp(call)) return;
    const answer = check(call.request, traceparentOf(call));
    if (answer instanceof Promise) {
      void answer.then((response) => {
        if (!isGivenUp(call)) respond(null, response);
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
function isGivenUp(call: CheckCall): boolean {
  return call.cancelled || hasExpired(call);
}

/** Sizes as RFC 9113 §10.5.1 counts them: 32 bytes for each field beside its text. */
function isOverLimit(call: CheckCall, maxHeaderBytes: number): boolean {
  if (maxHeaderBytes >= NODE_MAX_HEADER_BYTES) return false;
  let bytes = 0;
  for (const [name, values] of Object.entries(call.metadata.toJSON())) {
    for (const value of values) bytes += name.length + value.length + 32;
  }
  return bytes > maxHeaderBytes;
}

/** W3C Trace Context, which Envoy adds to the call where it traces. */
function traceparentOf(call: CheckCall): string | undefined {
  return call.metadata.get('traceparent')[0]?.toString();
}
