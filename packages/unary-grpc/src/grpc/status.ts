/** Status codes, and failures as a handler states them (gRPC core: statuscodes.md). */

export const STATUS = {
  OK: 0,
  CANCELLED: 1,
  UNKNOWN: 2,
  INVALID_ARGUMENT: 3,
  DEADLINE_EXCEEDED: 4,
  NOT_FOUND: 5,
  ALREADY_EXISTS: 6,
  PERMISSION_DENIED: 7,
  RESOURCE_EXHAUSTED: 8,
  FAILED_PRECONDITION: 9,
  ABORTED: 10,
  OUT_OF_RANGE: 11,
  UNIMPLEMENTED: 12,
  INTERNAL: 13,
  UNAVAILABLE: 14,
  DATA_LOSS: 15,
  UNAUTHENTICATED: 16,
} as const;

export type StatusName = keyof typeof STATUS;

/** A response without a message. */
export interface Failure {
  readonly status: Exclude<StatusName, 'OK'>;
  /** For a person. The client sees it. */
  readonly details: string;
}

export function isFailure(result: unknown): result is Failure {
  if (typeof result !== 'object' || result === null) return false;
  const { status, details } = result as Record<string, unknown>;
  const isStatus = typeof status === 'string' && status !== 'OK' && Object.hasOwn(STATUS, status);
  return isStatus && typeof details === 'string';
}
