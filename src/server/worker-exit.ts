/** Describes how a worker ended. */
import { INVALID_CONFIGURATION } from './exit-code.ts';

export type WorkerExit =
  | { readonly kind: 'exited'; readonly code: number }
  | { readonly kind: 'killed'; readonly signal: string }
  /** `code` is the system's, such as `EAGAIN`. */
  | { readonly kind: 'spawnFailed'; readonly code: string };

/** In words for the log and `/readyz`. */
export function describeExit(exit: WorkerExit): string {
  switch (exit.kind) {
    case 'exited':
      return exit.code === INVALID_CONFIGURATION
        ? 'worker failed to start: invalid configuration'
        : 'worker exited';
    case 'killed':
      return 'worker killed';
    case 'spawnFailed':
      return 'worker failed to start: cannot spawn process';
  }
}

/** The log fields. */
export function exitFields(exit: WorkerExit): object {
  switch (exit.kind) {
    case 'exited':
      return { exit_code: exit.code };
    case 'killed':
      return { signal: exit.signal };
    case 'spawnFailed':
      return { error: exit.code };
  }
}

/** The first worker ended before it listened. */
export class WorkerStartError extends Error {
  override readonly name = 'WorkerStartError';
  /** A worker that `exited` has printed the reason itself. */
  readonly exit: WorkerExit;

  constructor(exit: WorkerExit) {
    super(`first worker failed to start: ${causeOf(exit)}`);
    this.exit = exit;
  }
}

function causeOf(exit: WorkerExit): string {
  switch (exit.kind) {
    case 'exited':
      return `exit code ${exit.code}`;
    case 'killed':
      return `killed by ${exit.signal}`;
    case 'spawnFailed':
      return `cannot spawn process: ${exit.code}`;
  }
}
