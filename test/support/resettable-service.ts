/** A running service that many tests share: each resets its configuration, and counts from there. */
import { expect, vi } from 'vitest';
import { readMetrics } from './admin-pages.ts';
import { type CheckedService, type Scratch, startChecked } from './checked-service.ts';
import { PATIENCE } from './patience.ts';

export interface ResettableService extends CheckedService {
  isRunning(): boolean;
  /** Has it reload this configuration and every file as if it started with them: earlier lines and counts are forgotten. */
  reset(config: object): Promise<void>;
  /** Log lines since the start or the last reset. */
  newLines(): readonly Readonly<Record<string, unknown>>[];
  /** How much a counter has grown since the start or the last reset. */
  counted(series: string): Promise<number>;
}

export interface SharedService {
  /** Starts the service, or resets the one that runs with this environment. */
  start(config: object, env?: Readonly<Record<string, string>>): Promise<ResettableService>;
  /** Ends the service, so that the next test starts one. */
  stop(): Promise<void>;
}

const NO_VARIABLES = {};

export function shareService(scratch: Scratch): SharedService {
  let service: ResettableService | undefined;
  let variables: Readonly<Record<string, string>> = NO_VARIABLES;

  async function stop(): Promise<void> {
    await service?.kill();
    service = undefined;
  }

  return {
    stop,
    async start(config, env = NO_VARIABLES) {
      if (service?.isRunning() && env === variables) {
        await service.reset(config);
        return service;
      }
      await stop();
      service = await startResettable(scratch, config, env);
      variables = env;
      return service;
    },
  };
}

async function startResettable(
  scratch: Scratch,
  config: object,
  env: Readonly<Record<string, string>>,
): Promise<ResettableService> {
  const service = await startChecked(scratch, config, env);
  const { admin, logLines } = service;
  let isRunning = true;
  void service.ended.then(() => {
    isRunning = false;
  });
  let lines = 0;
  let counts: ReadonlyMap<string, number> = new Map();
  let resets = 0;

  /** @returns how many lines say that a reload changed the policy. */
  const reloadsOf = (policy: string): number =>
    logLines().filter(({ msg, changes }) => msg === 'reloaded' && JSON.stringify(changes).includes(policy))
      .length;

  async function reload(next: object, isLogged: () => boolean): Promise<void> {
    service.writeConfig(next);
    service.signal('SIGHUP');
    await vi.waitFor(() => expect(isLogged()).toBe(true), PATIENCE);
  }

  return {
    ...service,
    isRunning: () => isRunning,
    async reset(next) {
      resets += 1;
      // A configuration equal to the last one would not be reloaded, and the line of each reload is the last that it logs.
      const marker = `reset-${resets}`;
      const policies = { default: {}, [marker]: {} };
      await reload(
        { ...next, policies, defaultPolicy: 'default', routes: [], log: {} },
        () => reloadsOf(marker) === 1,
      );
      lines = logLines().length;
      await reload(next, () => reloadsOf(marker) === 2);
      counts = await readMetrics(admin);
    },
    newLines: () => logLines().slice(lines),
    counted: async (series) => ((await service.metric(series)) ?? 0) - (counts.get(series) ?? 0),
  };
}
