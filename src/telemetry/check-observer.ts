/** Defines what is recorded of a check, for whatever counts or logs it. */
import type { CheckRequest } from '../authz/check-request.ts';
import type { Decision } from '../authz/decide.ts';

export interface CheckRecord {
  /** `undefined` if the message did not decode. */
  readonly request: CheckRequest | undefined;
  readonly decision: Decision;
  /** W3C Trace Context of the gRPC call. */
  readonly traceparent: string | undefined;
  /** The time that the decision was made at, in seconds since the epoch. */
  readonly nowSeconds: number;
  readonly durationSeconds: number;
}

export interface CheckObserver {
  /** Called once per check, after its answer is encoded. What it throws is logged and changes no answer. */
  checkDone(record: CheckRecord): void;
}
