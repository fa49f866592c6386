/** Runs the service with two workers, and changes its files. */
import { spawn } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { mkdtempSync, readdirSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import { stringify } from 'yaml';
import { imageNodeOptions } from '../image.mjs';

const CLI = fileURLToPath(new URL('../../dist/cli.js', import.meta.url));
export const WORKERS = 2;

/** As in a pod of the chart: Node derives this limit from the memory limit of 256 MiB. */
const NODE_OPTIONS = [...imageNodeOptions(), '--max-old-space-size=192'];

/** @typedef {Awaited<ReturnType<typeof startSubject>>} Subject */

/** @param {string} transport of `listen.transport` */
export async function startSubject(transport) {
  const folder = mkdtempSync(join(tmpdir(), 'approov-soak-'));
  const path = (/** @type {string} */ name) => join(folder, name);
  // By rename, as editors do, so that the service never reads half of a file.
  const write = (/** @type {string} */ name, /** @type {string} */ text) => {
    writeFileSync(path(`.${name}`), text, { mode: 0o600 });
    renameSync(path(`.${name}`), path(name));
  };
  const secrets = [randomBytes(64), randomBytes(64)];
  const writeSecret = (/** @type {number} */ slot) => {
    secrets[slot] = randomBytes(64);
    write(`key-${slot}`, secrets[slot].toString('base64'));
  };
  for (const slot of secrets.keys()) writeSecret(slot);
  const writeConfig = (/** @type {number} */ version) =>
    write('config.yaml', configOf(path, transport, version));
  writeConfig(0);

  const child = spawn(process.execPath, [...NODE_OPTIONS, CLI, 'serve', '--config', path('config.yaml')], {
    stdio: ['ignore', 'pipe', 'inherit'],
    env: { PATH: process.env['PATH'] },
  });
  process.once('exit', () => {
    child.kill('SIGKILL');
    rmSync(folder, { recursive: true, force: true });
  });
  const addresses = await startedAt(child);
  return {
    ...addresses,
    pid: Number(child.pid),
    secrets,
    writeSecret,
    writeConfig,
    /** The pids of the primary and its workers. */
    pids: () => [Number(child.pid), ...workersOf(Number(child.pid))],
    workers: () => workersOf(Number(child.pid)),
    metrics: async () => (await fetch(`http://${addresses.admin}/metrics`)).text(),
    async isReady() {
      const response = await fetch(`http://${addresses.admin}/readyz`);
      const { components } = /** @type {{ components: { workers?: Record<string, string> } }} */ (
        await response.json()
      );
      const ready = Object.values(components.workers ?? {}).filter((state) => state === 'ready');
      return response.ok && ready.length === WORKERS;
    },
    async stop() {
      child.kill('SIGTERM');
      await once(child, 'close');
    },
  };
}

/**
 * @param {(name: string) => string} path
 * @param {string} transport
 * @param {number} version makes each configuration differ from the last
 */
function configOf(path, transport, version) {
  return stringify({
    listen: {
      grpc: '127.0.0.1:0',
      admin: '127.0.0.1:0',
      ...(transport === 'grpc-js' ? {} : { transport }),
    },
    workers: WORKERS,
    keys: [
      { id: 'even', secretFile: path('key-0') },
      { id: 'odd', secretFile: path('key-1') },
    ],
    policies: {
      default: { binding: { headers: ['authorization'], when: 'if-present' }, forwardClaims: ['did'] },
      limited: { mode: 'limit' },
      watched: { mode: 'observe' },
    },
    denied: { headers: { 'x-version': String(version) } },
    drain: { delaySeconds: 0 },
  });
}

/**
 * Reads the log until the service has started, and discards the rest.
 * @param {import('node:child_process').ChildProcess} child
 * @returns {Promise<{ grpc: string, admin: string }>}
 */
async function startedAt(child) {
  if (child.stdout === null) throw new Error('the service has no stdout');
  const lines = createInterface(child.stdout);
  return new Promise((resolve, reject) => {
    child.once('exit', (code) => reject(new Error(`the service ended with exit code ${code}`)));
    lines.on('line', (line) => {
      const { msg, grpc, admin } = JSON.parse(line);
      if (msg === 'serving') resolve({ grpc, admin });
    });
  });
}

/** @param {number} pid */
function workersOf(pid) {
  try {
    return readdirSync(`/proc/${pid}/task`)
      .flatMap((task) => readFileSync(`/proc/${pid}/task/${task}/children`, 'utf8').split(' '))
      .filter((child) => child !== '')
      .map(Number);
  } catch {
    return [];
  }
}
