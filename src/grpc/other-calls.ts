/** Tracks the open calls of other methods than Check, so that a shutdown ends them: streams do not end by themselves. */
import { status } from '@grpc/grpc-js';
import type { ServerCall } from './server-call.ts';

const SHUTTING_DOWN = { code: status.UNAVAILABLE, details: 'server is shutting down' };

type OtherCall = Pick<ServerCall, 'sendStatus'>;

export class OtherCalls {
  readonly #open = new Set<OtherCall>();
  #isShuttingDown = false;

  /** @returns whether the call goes on: one that was opened just before the shutdown is ended here. */
  add(call: OtherCall): boolean {
    if (this.#isShuttingDown) call.sendStatus(SHUTTING_DOWN);
    else this.#open.add(call);
    return !this.#isShuttingDown;
  }

  delete(call: OtherCall): void {
    this.#open.delete(call);
  }

  shutDown(): void {
    this.#isShuttingDown = true;
    for (const call of this.#open) call.sendStatus(SHUTTING_DOWN);
  }
}
