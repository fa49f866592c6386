/** Owns the line between the primary and a worker, both its ends. The only file that knows node:cluster. */
import cluster, { type Worker } from 'node:cluster';
import type { MetricObjectWithValues, MetricValue } from 'prom-client';
import type { Readiness } from '../admin/readiness.ts';
import type { ListenAddress } from '../config/address.ts';

export type MetricJson = MetricObjectWithValues<MetricValue<string>>;

/** What a worker tells the primary. */
type Report =
  | { readonly type: 'readiness'; readonly readiness: Readiness; readonly grpc: ListenAddress | undefined }
  | { readonly type: 'metrics'; readonly metrics: readonly MetricJson[] };

/** What the primary asks of a worker. */
type Request = 'metrics' | 'reload' | 'stop';

/** How a process ended; one that could not be spawned has the system's code as its signal. */
export interface End {
  readonly code: number | null;
  readonly signal: string | null;
}

/** A worker as the primary sees it. */
export interface WorkerChannel {
  readonly pid: number | undefined;
  /** Resolves with the bound address. */
  readonly listening: Promise<ListenAddress>;
  readonly ended: Promise<End>;
  /** As it told last; `undefined` until it has told. */
  readiness(): Readiness | undefined;
  /** As it told last. */
  metrics(): readonly MetricJson[];
  /** Resolves once it has told its metrics anew, has ended, or has let `timeoutMs` pass. */
  refreshMetrics(timeoutMs: number): Promise<void>;
  reload(): void;
  /** Has it drain and end. */
  stop(): void;
  kill(): void;
}

/** Whether this process is a worker. */
export function isWorker(): boolean {
  return cluster.isWorker;
}

/** @throws the system's error, for some of the reasons why it cannot be spawned; for others it has ended at once. */
export function forkWorker(): WorkerChannel {
  const worker = cluster.fork();
  const awaitingMetrics = new Set<() => void>();
  let readiness: Readiness | undefined;
  let metrics: readonly MetricJson[] = [];

  function onMetrics(): void {
    for (const resolve of awaitingMetrics) resolve();
  }

  function ask(request: Request): void {
    // It may die just now: without somebody to take it, that error would end the primary.
    if (worker.isConnected()) worker.send(request, () => undefined);
  }

  const listening = new Promise<ListenAddress>((resolve) => {
    worker.on('message', (report: Report) => {
      if (report.type === 'metrics') {
        metrics = report.metrics;
        onMetrics();
      } else {
        readiness = report.readiness;
        if (report.grpc !== undefined) resolve(report.grpc);
      }
    });
  });
  const ended = new Promise<End>((resolve) => {
    worker.once('exit', (code, signal) => resolve({ code, signal }));
    worker.on('error', (error: NodeJS.ErrnoException) => {
      // One that could not even be spawned has no exit.
      if (worker.process.pid === undefined) resolve({ code: null, signal: error.code ?? error.name });
    });
  });
  void ended.then(onMetrics);
  if (worker.process.pid !== undefined) closeUntaken(worker);

  return {
    pid: worker.process.pid,
    listening,
    ended,
    readiness: () => readiness,
    metrics: () => metrics,
    refreshMetrics(timeoutMs) {
      return new Promise((resolve) => {
        const timer = setTimeout(done, timeoutMs);
        function done(): void {
          clearTimeout(timer);
          awaitingMetrics.delete(done);
          resolve();
        }
        awaitingMetrics.add(done);
        ask('metrics');
      });
    },
    reload: () => ask('reload'),
    stop() {
      // One that still starts does not hear what it is asked. By signal only then, as a second one would cut the drain
      // short, and whoever signals the primary often signals the workers too: a terminal, systemd.
      if (readiness === undefined) worker.process.kill('SIGTERM');
      else ask('stop');
    },
    kill: () => void worker.process.kill('SIGKILL'),
  };
}

/** How node:cluster speaks with a worker; nothing of it is documented. */
interface ClusterLine {
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
 * Closes the connection that a worker was being handed when it ended, so that the client comes again. node:cluster
 * forgets it (as late as in Node 24): it stays open, and nobody ever answers on it. There is one at most, as the next
 * is handed over when a worker has taken the last. Should another Node do that in other words, this does nothing.
 */
function closeUntaken(worker: Worker): void {
  const line = worker.process as unknown as ClusterLine;
  const send = line.send.bind(line);
  let untaken: { readonly seq: number | undefined; readonly connection: Closable | undefined } | undefined;
  line.send = (message, handle, ...rest) => {
    if (message.act === 'newconn') untaken = { seq: message.seq, connection: handle };
    return send(message, handle, ...rest);
  };
  line.on('internalMessage', ({ ack }) => {
    if (ack === untaken?.seq) untaken = undefined;
  });
  worker.once('exit', () => untaken?.connection?.close());
}

/** What a worker does for its primary. */
export interface WorkerDuties {
  readonly metrics: () => Promise<readonly MetricJson[]>;
  readonly reload: () => void;
  readonly stop: () => void;
}

/** Answers the primary; what is returned tells it of the worker's readiness. */
export function serveAsWorker({ metrics, reload, stop }: WorkerDuties) {
  const report = (report: Report): void => {
    if (process.connected) process.send?.(report);
  };
  process.on('message', (request: Request) => {
    if (request === 'reload') reload();
    if (request === 'stop') stop();
    if (request === 'metrics') void metrics().then((own) => report({ type: 'metrics', metrics: own }));
  });
  return (readiness: Readiness, grpc: ListenAddress | undefined): void => {
    report({ type: 'readiness', readiness, grpc });
  };
}
