/** A row of the differential test: bytes of a client, and what unary-grpc makes of them. */

export interface Scenario {
  readonly name: string;
  /** Of RFC 9113, unless it names another document. */
  readonly section: string;
  readonly bytes: Buffer;
  /** Whether `bytes` begin with the preface. */
  readonly isWhole?: boolean;
  /** As `support/outcome.ts` describes it. */
  readonly outcome: string;
  /** The outcome if the first call was answered before the rest arrived. The same, if omitted. */
  readonly outcomeIfLate?: string;
}
