/** Starts what the demo consists of: an upstream, the service and Envoy, with their files in `.demo/`. */
import { execFile, spawn } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { existsSync, mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:http';
import { join, relative } from 'node:path';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { parse } from 'yaml';
import { findEnvoy, relocate, startEnvoy } from '../envoy.mjs';
import { FILES, FIRST_MODE, TOKENS } from './story.mjs';

const run = promisify(execFile);

const ROOT = fileURLToPath(new URL('../../', import.meta.url));
const CLI = join(ROOT, 'dist/cli.js');
const ENVOY_CONFIG = join(ROOT, 'deploy/message-signatures/envoy.yaml');
const SERVICE_CONFIG = join(ROOT, 'deploy/config/config.yaml');

/** The port in envoy.yaml. */
export const DEFAULT_PORT = 10000;

/** @typedef {Awaited<ReturnType<typeof startStack>>} Stack */

/** The demo cannot run. The message is one line. */
export class DemoError extends Error {
  /** @override */
  name = 'DemoError';
}

/**
 * Starts everything. It ends, and its files are deleted, when the process exits.
 * @param {number} wantedPort Envoy's port; 0 for any that is free
 */
export async function startStack(wantedPort) {
  if (!existsSync(CLI)) throw new DemoError('dist/cli.js is not there: run `npm run build` first');
  const binary = await findEnvoy();
  const port = await findFreePort(wantedPort);
  const folder = createFolder(port);
  const secretFile = join(folder, 'secret');
  writeFileSync(secretFile, randomBytes(64).toString('base64'), { mode: 0o600 });
  const configFile = join(folder, 'config.yaml');
  const setMode = (/** @type {string} */ mode) => writeFileSync(configFile, sampleWithMode(mode));
  setMode(FIRST_MODE);

  const env = { PATH: process.env['PATH'], APPROOV_BASE64_SECRET_FILE: secretFile };
  const [upstream, service] = await Promise.all([
    startUpstream(),
    startService(env, configFile),
    writeHeaderFiles(env, configFile, folder),
  ]);
  const addresses = {
    '0.0.0.0:10000': `127.0.0.1:${port}`,
    '127.0.0.1:9901': '127.0.0.1:0',
    'approov-ext-authz:9001': service.grpc,
    'upstream:8080': upstream,
  };
  const envoy = await startEnvoy(relocate(parse(readFileSync(ENVOY_CONFIG, 'utf8')), addresses), binary);
  return {
    ...{ port, folder: relative('.', folder), service, envoy, setMode },
    mint: (/** @type {readonly string[]} */ args) => mint(env, args),
    explain: (/** @type {readonly string[]} */ args) => explain(env, ['--config', configFile, ...args]),
  };
}

/**
 * Envoy would share a port with another Envoy (SO_REUSEPORT), so the demo finds out itself.
 * @param {number} wanted
 * @returns {Promise<number>}
 */
async function findFreePort(wanted) {
  const server = createServer().listen(wanted, '127.0.0.1');
  try {
    await once(server, 'listening');
  } catch (error) {
    const { code } = /** @type {NodeJS.ErrnoException} */ (error);
    const remedy = 'stop what uses it, or choose another: npm run demo -- --port 10080';
    if (code === 'EADDRINUSE') throw new DemoError(`port ${wanted} is in use; ${remedy}`);
    throw new DemoError(`port ${wanted}: ${code}`);
  }
  const { port } = /** @type {import('node:net').AddressInfo} */ (server.address());
  server.close();
  await once(server, 'close');
  return port;
}

/**
 * A folder of the clone, so that its path is short enough to read. No other demo uses it, as none uses the port.
 * @param {number} port
 */
function createFolder(port) {
  const folder = join(ROOT, port === DEFAULT_PORT ? '.demo' : `.demo-${port}`);
  const remove = () => rmSync(folder, { recursive: true, force: true });
  // A demo that was killed leaves it.
  remove();
  mkdirSync(folder, { mode: 0o700 });
  process.once('exit', remove);
  return folder;
}

/**
 * The sample, in which the default policy has another mode, and verifies signatures.
 * @param {string} mode
 */
export function sampleWithMode(mode) {
  const section = `mode: ${mode}\n    messageSignature: {externalScheme: http, replay: per-instance}`;
  return readFileSync(SERVICE_CONFIG, 'utf8').replace(/(?<=^ {2}default:\n {4})mode: \w+/m, section);
}

/** The protected API: responds with the headers that it received. */
async function startUpstream() {
  const server = createServer((request, response) => {
    request.resume();
    response.writeHead(200, { 'content-type': 'application/json', 'x-from': 'upstream' });
    response.end(`${JSON.stringify({ path: request.url, headers: request.headers })}\n`);
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = /** @type {import('node:net').AddressInfo} */ (server.address());
  return `127.0.0.1:${port}`;
}

/**
 * @param {NodeJS.ProcessEnv} env
 * @param {string} configFile
 * @returns {Promise<{ grpc: string, admin: string, logLines: string[] }>}
 */
async function startService(env, configFile) {
  const child = spawn(process.execPath, [CLI, 'serve', '--config', configFile], {
    env: { ...env, APPROOV_GRPC_LISTEN: '127.0.0.1:0', APPROOV_ADMIN_LISTEN: '127.0.0.1:0' },
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  // Not SIGTERM: a demo need not drain.
  process.once('exit', () => child.kill('SIGKILL'));
  /** @type {string[]} */
  const logLines = [];
  const lines = createInterface(child.stdout);
  const serving = new Promise((resolve, reject) => {
    lines.on('line', (line) => {
      logLines.push(line);
      const { msg, grpc, admin } = JSON.parse(line);
      if (msg === 'serving') resolve({ grpc, admin, logLines });
    });
    child.once('close', (code) => reject(new DemoError(`the service ended with exit code ${code}`)));
  });
  return serving;
}

/**
 * Mints the tokens with the service's `mint`, each into a file with a header line that curl can read.
 * @param {NodeJS.ProcessEnv} env
 * @param {string} configFile
 * @param {string} folder
 */
async function writeHeaderFiles(env, configFile, folder) {
  for (const [name, content] of Object.entries(FILES)) writeFileSync(join(folder, name), content);
  await Promise.all(
    Object.entries(TOKENS).map(async ([name, args]) => {
      const token = await mint(env, ['--config', configFile, ...args]);
      writeFileSync(join(folder, name), `approov-token: ${token}\n`, { mode: 0o600 });
    }),
  );
}

/**
 * What `explain` says of a token.
 * @param {NodeJS.ProcessEnv} env
 * @param {readonly string[]} args
 * @returns {Promise<string>}
 */
async function explain(env, args) {
  const refused = (/** @type {Error & { stdout?: string }} */ error) => error;
  const { stdout = '' } = await run(process.execPath, [CLI, 'explain', ...args], { env }).catch(refused);
  return stdout;
}

/**
 * @param {NodeJS.ProcessEnv} env
 * @param {readonly string[]} args
 * @returns {Promise<string>}
 */
async function mint(env, args) {
  try {
    const { stdout } = await run(process.execPath, [CLI, 'mint', ...args], { env });
    return stdout.trim();
  } catch (error) {
    const { stderr } = /** @type {Error & { stderr?: string }} */ (error);
    throw new DemoError(`cannot mint a token: ${stderr?.split('\n')[0]}`);
  }
}
