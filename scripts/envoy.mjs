/** Runs a real Envoy on free ports, for the demo and the tests. */
import { execFile, spawn } from 'node:child_process';
import { once } from 'node:events';
import { rmSync } from 'node:fs';
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { promisify } from 'node:util';
import { stringify } from 'yaml';
import { EnvoyError, findEnvoy } from './find-envoy.mjs';

export { relocate } from './envoy-addresses.mjs';
export { ENVOY_VERSION, EnvoyError, findEnvoy } from './find-envoy.mjs';

const run = promisify(execFile);

/** Envoy starts within a second, but the machine may be busy. */
const START_TIMEOUT_MS = 60_000;
const STOP_TIMEOUT_MS = 10_000;
const POLL_MS = 20;

/**
 * @typedef {object} RunningEnvoy
 * @property {string} version such as 1.40.0
 * @property {number} pid
 * @property {string} admin `host:port`
 * @property {(listener: string) => number} port the port of a listener, by name
 * @property {(filter: string) => Promise<Readonly<Record<string, number>>>} stats counters and gauges whose name
 *   matches a regular expression
 * @property {() => readonly Readonly<Record<string, unknown>>[]} accessLog all lines so far, oldest first
 * @property {() => string} output stderr so far
 * @property {() => boolean} isRunning
 * @property {() => Promise<void>} stop
 */

/**
 * Starts an Envoy and waits until it is ready. Use port 0 for its listeners and admin interface.
 * @param {unknown} config the bootstrap configuration
 * @param {string} [binary]
 * @returns {Promise<RunningEnvoy>}
 * @throws {EnvoyError}
 */
export async function startEnvoy(config, binary) {
  const envoy = await launch(binary ?? (await findEnvoy()), config);
  try {
    const admin = await readyAdmin(envoy);
    const ports = await readPorts(admin);
    return {
      version: await readVersion(admin),
      pid: envoy.pid,
      admin,
      port(listener) {
        const port = ports.get(listener);
        if (port === undefined) throw new EnvoyError(`Envoy has no listener ${listener}`);
        return port;
      },
      stats: (filter) => readStats(admin, filter),
      accessLog: () => jsonLines(envoy.stdout()),
      output: envoy.stderr,
      isRunning: envoy.isRunning,
      stop: envoy.stop,
    };
  } catch (error) {
    await envoy.stop();
    throw error;
  }
}

/**
 * @param {string} program
 * @param {unknown} config
 */
async function launch(program, config) {
  const folder = await mkdtemp(join(tmpdir(), 'envoy-'));
  const configFile = join(folder, 'envoy.yaml');
  const adminFile = join(folder, 'admin-address');
  await writeFile(configFile, stringify(config));

  const options = [
    ['--config-path', configFile],
    ['--admin-address-path', adminFile],
    ['--log-level', 'warning'],
    ['--concurrency', '1'],
    ['--file-flush-interval-msec', '20'],
    // With hot restart, concurrent Envoys would conflict over the shared memory of their base id.
    ['--disable-hot-restart'],
  ];
  const child = spawn(program, options.flat(), { stdio: ['ignore', 'pipe', 'pipe'], env: {} });
  const killAtExit = () => {
    child.kill('SIGKILL');
    rmSync(folder, { recursive: true, force: true });
  };
  process.once('exit', killAtExit);
  // A signal ends a process without an exit event, unless it has a handler.
  const exitAtSignal = () => process.exit(1);
  if (process.listenerCount('SIGTERM') === 0) process.once('SIGTERM', exitAtSignal);
  let isRunning = true;
  const ended = once(child, 'close')
    .catch(() => undefined)
    .finally(async () => {
      isRunning = false;
      process.off('exit', killAtExit);
      process.off('SIGTERM', exitAtSignal);
      await rm(folder, { recursive: true, force: true });
    });
  return {
    program,
    pid: Number(child.pid),
    adminFile,
    stdout: collect(child.stdout),
    stderr: collect(child.stderr),
    isRunning: () => isRunning,
    async stop() {
      child.kill('SIGTERM');
      const hurry = setTimeout(() => child.kill('SIGKILL'), STOP_TIMEOUT_MS);
      await ended;
      clearTimeout(hurry);
    },
  };
}

/**
 * Waits until Envoy is ready.
 * @param {Awaited<ReturnType<typeof launch>>} envoy
 * @returns {Promise<string>} `host:port` of the admin interface
 */
async function readyAdmin({ program, adminFile, stderr, isRunning }) {
  const deadline = Date.now() + START_TIMEOUT_MS;
  for (;;) {
    const admin = (await readFile(adminFile, 'utf8').catch(() => '')).trim();
    if (admin !== '' && (await isReady(admin))) return admin;
    const lastLine = stderr().trim().split('\n').at(-1) || 'no output';
    if (!isRunning()) throw new EnvoyError(`${program} exited: ${lastLine}`);
    if (Date.now() > deadline) throw new EnvoyError(`${program} did not become ready: ${lastLine}`);
    await sleep(POLL_MS);
  }
}

/**
 * Validates a configuration; returns Envoy's error, or undefined if it is valid.
 * @param {string} configFile
 * @param {string} [binary]
 * @returns {Promise<string | undefined>}
 */
export async function validateConfig(configFile, binary) {
  const program = binary ?? (await findEnvoy());
  try {
    const options = [
      ['--mode', 'validate'],
      ['--config-path', configFile],
      ['--log-level', 'warning'],
    ];
    await run(program, [...options.flat(), '--disable-hot-restart'], { env: {} });
    return undefined;
  } catch (error) {
    const { stderr, message } = /** @type {Error & { stderr?: string }} */ (error);
    return stderr?.trim() || message;
  }
}

/**
 * @param {string} text
 * @returns {Record<string, unknown>[]}
 */
function jsonLines(text) {
  const lines = text.split('\n').slice(0, -1);
  return lines.map((line) => JSON.parse(line));
}

/** @param {NodeJS.ReadableStream} stream */
function collect(stream) {
  /** @type {Buffer[]} */
  const chunks = [];
  stream.on('data', (chunk) => chunks.push(chunk));
  return () => Buffer.concat(chunks).toString();
}

/**
 * @param {string} admin
 * @returns {Promise<boolean>}
 */
async function isReady(admin) {
  const response = await fetch(`http://${admin}/ready`).catch(() => undefined);
  return response?.ok ?? false;
}

/**
 * @param {string} admin
 * @param {string} path
 * @returns {Promise<unknown>}
 */
async function getJson(admin, path) {
  const response = await fetch(`http://${admin}${path}`);
  if (!response.ok)
    throw new EnvoyError(`Envoy's admin interface: ${path} responded with ${response.status}`);
  return response.json();
}

/**
 * @param {string} admin
 * @returns {Promise<string>} such as 1.40.0
 */
async function readVersion(admin) {
  const { version } = /** @type {{ version: string }} */ (await getJson(admin, '/server_info'));
  return version.split('/')[1] ?? version;
}

/** @param {string} admin */
async function readPorts(admin) {
  const { listener_statuses: statuses } =
    /** @type {{ listener_statuses: { name: string, local_address: { socket_address: { port_value: number } } }[] }} */ (
      await getJson(admin, '/listeners?format=json')
    );
  return new Map(statuses.map(({ name, local_address }) => [name, local_address.socket_address.port_value]));
}

/**
 * @param {string} admin
 * @param {string} filter
 */
async function readStats(admin, filter) {
  const { stats } = /** @type {{ stats: { name?: string, value?: number }[] }} */ (
    await getJson(admin, `/stats?format=json&filter=${encodeURIComponent(filter)}`)
  );
  // Histograms are in one entry without a name.
  return Object.fromEntries(
    stats.flatMap(({ name, value }) => (name === undefined || value === undefined ? [] : [[name, value]])),
  );
}
