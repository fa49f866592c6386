/** Starts one instance of every server that a part of the run needs. */
import { residentMebibytes } from './cpu.mjs';
import { startServer } from './servers.mjs';

/** @typedef {import('./subjects.mjs').Subject} Subject */
/** @typedef {import('./servers.mjs').RunningServer} RunningServer */
/** @typedef {import('./contenders.mjs').Contender} Contender */

/** @typedef {Awaited<ReturnType<typeof startFleet>>} Fleet */

/**
 * @param {readonly Contender[]} contenders
 * @param {import('./available.mjs').Commands} commands
 */
export async function startFleet(contenders, commands) {
  /** @type {Map<string, Promise<RunningServer>>} */
  const starting = new Map();
  for (const { subject, scenario } of contenders) {
    if (subject === undefined) continue;
    const key = keyOf(subject, scenario.config);
    if (!starting.has(key))
      starting.set(key, startServer(subject.label, commands.of(subject)(scenario.config)));
  }
  const running = await Promise.all(
    Array.from(starting, async ([key, server]) => /** @type {const} */ ([key, await server])),
  );
  const servers = new Map(running);

  return {
    /** @param {Subject} subject @param {string} config @returns {RunningServer} */
    server(subject, config) {
      const server = servers.get(keyOf(subject, config));
      if (server === undefined) throw new RangeError(`${subject.id} does not run with ${config}`);
      return server;
    },
    /** MiB by label, of the servers with the plain configuration. */
    residentMebibytes() {
      const subjects = new Set(contenders.flatMap(({ subject }) => subject ?? []));
      return [...subjects].flatMap((subject) => {
        const server = servers.get(keyOf(subject, 'plain'));
        return server === undefined
          ? []
          : [{ label: subject.label, mebibytes: residentMebibytes(server.pid) }];
      });
    },
    stop: () => Promise.all([...servers.values()].map((server) => server.stop())),
  };
}

/** A peer and an empty server know no configurations, so one process serves all scenarios. */
function keyOf(/** @type {Subject} */ { id, kind }, /** @type {string} */ config) {
  return kind === 'service' ? `${id} ${config}` : `${id} plain`;
}
