/** Defines the record of a check and the interface of its observers, such as the log and the metrics. */
import type { CheckRequest } from '../authz/check-request.ts';
import type { Decision } from '../authz/decide.ts';

export interface CheckRecord {
  /** `undefined` if the message did not decode. */
  readonly request: CheckRequest | undefined;
  readonly decision: Decision;
  /** W3C Trace Context of the gRPC call. */
  readonly traceparent: string | undefined;
  /** When the decision was made, in seconds since the epoch. */
  readonly nowSeconds: number;
  readonly durationSeconds: number;
}

export interface CheckObserver {
  /** Called once per check, after the response is encoded. An exception is logged and does not change the response. */
  checkDone(record: CheckRecord): void;
}
