/** Connects the primary with its workers, at both ends. The only file that knows node:cluster. */
import cluster, { type Worker } from 'node:cluster';
import type { MetricObjectWithValues, MetricValue } from 'prom-client';
import type { Readiness } from '../admin/admin-server.ts';
import type { ListenAddress } from '../config/address.ts';
import type { RolloutSnapshot } from '../rollout/snapshot.ts';
import type { ModeOverride } from './mode-overrides.ts';
import type { WorkerExit } from './worker-exit.ts';

export type MetricJson = MetricObjectWithValues<MetricValue<string>>;

/** What a worker has counted. */
export interface WorkerCounts {
  readonly metrics: readonly MetricJson[];
  readonly rollout: RolloutSnapshot;
}

/** From a worker to the primary. */
type Report =
  /** It reads messages from now on; those before are lost. */
  | { readonly type: 'started' }
  | { readonly type: 'readiness'; readonly readiness: Readiness; readonly grpc: ListenAddress | undefined }
  | ({ readonly type: 'counts' } & WorkerCounts);

/** As a message has it: the clocks of two processes differ. */
export interface PassedOverride extends Omit<ModeOverride, 'endsAtMs'> {
  readonly msLeft: number;
}

/** What all workers of a service have in common. */
export interface SharedState {
  /** Under which devices are hashed, in hexadecimal. */
  readonly deviceKey: string;
  readonly overrides: readonly PassedOverride[];
}

/** From the primary to a worker. */
type Request = 'counts' | 'reload' | 'stop' | SharedState;

/** A worker as the primary sees it. */
export interface WorkerChannel {
  /** `undefined` if the process could not be spawned. */
  readonly pid: number | undefined;
  /** Resolves with the bound address. */
  readonly listening: Promise<ListenAddress>;
  readonly exited: Promise<WorkerExit>;
  /** As last reported; `undefined` before the first report. */
  readiness(): Readiness | undefined;
  /** As last reported; `undefined` before the first report. */
  counts(): WorkerCounts | undefined;
  /** Requests a report, and resolves once it has arrived, the worker has exited, or `timeoutMs` have passed. */
  refreshCounts(timeoutMs: number): Promise<void>;
  reload(): void;
  /** Passes on the shared state, which has changed. */
  passShared(): void;
  /** Drains the worker and makes it exit. */
  stop(): void;
  kill(): void;
}

/** Whether this process is a worker. */
export function isWorker(): boolean {
  return cluster.isWorker;
}

/**
 * Never throws: a process that cannot be spawned has `exited` with `spawnFailed`.
 * @param shared which the worker waits for before it listens.
 */
export function forkWorker(shared: () => SharedState): WorkerChannel {
  try {
    return connectTo(cluster.fork(), shared);
  } catch (error) {
    // Node throws some errors of spawn (such as ENOMEM) and emits others (such as EAGAIN).
    return unspawned(spawnFailed(error as NodeJS.ErrnoException));
  }
}

function spawnFailed({ code, name }: NodeJS.ErrnoException): WorkerExit {
  return { kind: 'spawnFailed', code: code ?? name };
}

function unspawned(exit: WorkerExit): WorkerChannel {
  return {
    pid: undefined,
    listening: new Promise(() => undefined),
    exited: Promise.resolve(exit),
    readiness: () => undefined,
    counts: () => undefined,
    refreshCounts: async () => undefined,
    reload: () => undefined,
    passShared: () => undefined,
    stop: () => undefined,
    kill: () => undefined,
  };
}

function connectTo(worker: Worker, shared: () => SharedState): WorkerChannel {
  const passShared = (): void => send(shared());
  const reports = receiveReports(worker, passShared);
  const exited = exitOf(worker);
  void exited.then(reports.close);
  if (worker.process.pid !== undefined) closePendingConnectionOnExit(worker);

  function send(request: Request): void {
    // If the worker dies meanwhile, an error without a callback would be emitted and end the primary.
    if (worker.isConnected()) worker.send(request, () => undefined);
  }

  return {
    pid: worker.process.pid,
    listening: reports.listening,
    exited,
    readiness: reports.readiness,
    counts: reports.counts,
    refreshCounts(timeoutMs) {
      const received = reports.nextCounts(timeoutMs);
      send('counts');
      return received;
    },
    reload: () => send('reload'),
    passShared,
    stop() {
      // A worker that is starting does not read messages yet. Otherwise no signal: a second one would cut the drain short,
      // and a terminal or systemd signals the workers as well as the primary.
      if (reports.readiness() === undefined) worker.process.kill('SIGTERM');
      else send('stop');
    },
    kill: () => void worker.process.kill('SIGKILL'),
  };
}

function exitOf(worker: Worker): Promise<WorkerExit> {
  return new Promise((resolve) => {
    worker.once('exit', (code: number | null, signal: string) =>
      resolve(code === null ? { kind: 'killed', signal } : { kind: 'exited', code }),
    );
    worker.on('error', (error: NodeJS.ErrnoException) => {
      // A process that was not spawned emits no exit.
      if (worker.process.pid === undefined) resolve(spawnFailed(error));
    });
  });
}

/** Keeps the last report of each type. */
function receiveReports(worker: Worker, onStarted: () => void) {
  const waiting = new Set<() => void>();
  let readiness: Readiness | undefined;
  let counts: WorkerCounts | undefined;
  const resolveWaiting = (): void => {
    for (const resolve of waiting) resolve();
  };
  const listening = new Promise<ListenAddress>((resolve) => {
    worker.on('message', (report: Report) => {
      if (report.type === 'started') {
        onStarted();
      } else if (report.type === 'counts') {
        counts = report;
        resolveWaiting();
      } else {
        readiness = report.readiness;
        if (report.grpc !== undefined) resolve(report.grpc);
      }
    });
  });
  return {
    listening,
    readiness: () => readiness,
    counts: () => counts,
    /** Resolves with the next report of counts, on {@link close}, or after `timeoutMs`. */
    nextCounts(timeoutMs: number): Promise<void> {
      return new Promise((resolve) => {
        const timer = setTimeout(done, timeoutMs);
        function done(): void {
          clearTimeout(timer);
          waiting.delete(done);
          resolve();
        }
        waiting.add(done);
      });
    },
    close: resolveWaiting,
  };
}

/** The internal protocol of node:cluster, which is not documented. */
interface ClusterChannel {
  send(
    message: { readonly act?: string; readonly seq?: number },
    handle?: Closable,
    ...rest: unknown[]
  ): boolean;
  on(event: 'internalMessage', listener: (message: { readonly ack?: number }) => void): void;
}

interface Closable {
  close(): void;
}

/**
 * Closes the connection that was being handed to a worker when it exited, so that the client reconnects. node:cluster
 * (as of Node 24) forgets it and leaves it open, unanswered. There is at most one: the next is handed over when the last
 * is acknowledged. If a future Node changes these messages, this has no effect.
 */
function closePendingConnectionOnExit(worker: Worker): void {
  const channel = worker.process as unknown as ClusterChannel;
  const send = channel.send.bind(channel);
  let pending: { readonly seq: number | undefined; readonly connection: Closable | undefined } | undefined;
  channel.send = (message, handle, ...rest) => {
    if (message.act === 'newconn') pending = { seq: message.seq, connection: handle };
    return send(message, handle, ...rest);
  };
  channel.on('internalMessage', ({ ack }) => {
    if (ack === pending?.seq) pending = undefined;
  });
  worker.once('exit', () => pending?.connection?.close());
}

/** What a worker does on requests of the primary. */
interface WorkerHandlers {
  readonly counts: () => Promise<WorkerCounts>;
  readonly reload: () => void;
  /** Called first in answer to the start, and then for each change. */
  readonly useShared: (shared: SharedState) => void;
  readonly stop: () => void;
}

/** Serves the primary's requests. @returns a function that reports the worker's readiness. */
export function serveAsWorker({ counts, reload, useShared, stop }: WorkerHandlers) {
  const send = (report: Report): void => {
    if (process.connected) process.send?.(report);
  };
  process.on('message', (request: Request) => {
    if (typeof request === 'object') useShared(request);
    if (request === 'reload') reload();
    if (request === 'stop') stop();
    if (request === 'counts') void counts().then((own) => send({ type: 'counts', ...own }));
  });
  send({ type: 'started' });
  return (readiness: Readiness, grpc: ListenAddress | undefined): void => {
    send({ type: 'readiness', readiness, grpc });
  };
}
