/** Starts the servers of a run and ends them with it, however it ends. */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { connect } from 'node:net';
import { createInterface } from 'node:readline';
import { setTimeout as sleep } from 'node:timers/promises';
import { BenchError } from './errors.mjs';

const START_TIMEOUT_MS = 60_000;

/** @type {Set<import('node:child_process').ChildProcess>} */
const running = new Set();
process.once('exit', () => {
  for (const child of running) child.kill('SIGKILL');
});

/**
 * @typedef {object} RunningServer
 * @property {number} pid
 * @property {number} port of its gRPC listener
 * @property {() => Promise<void>} stop
 */

/**
 * How to start a server: a program that prints a JSON line with `"msg":"serving"` and its address as `grpc`.
 * @typedef {object} ServerCommand
 * @property {string} program
 * @property {readonly string[]} args
 * @property {Readonly<Record<string, string>>} env
 * @property {number} [port] for a program that does not print that line: where it will listen
 */

/**
 * @param {string} name
 * @param {ServerCommand} command
 * @returns {Promise<RunningServer>}
 * @throws {BenchError} if it does not serve
 */
export async function startServer(name, { program, args, env, port: expectedPort }) {
  const child = spawn(program, args, {
    env: { PATH: process.env['PATH'], ...env },
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  // Not SIGTERM: a drain takes seconds.
  const kill = () => child.kill('SIGKILL');
  running.add(child);
  const closed = once(child, 'close').catch(() => undefined);
  try {
    const port = expectedPort ?? (await servingPort(name, child));
    if (expectedPort !== undefined) await untilConnected(name, expectedPort, child);
    return {
      pid: Number(child.pid),
      port,
      async stop() {
        kill();
        await closed;
        running.delete(child);
      },
    };
  } catch (error) {
    kill();
    throw error;
  }
}

/**
 * @param {string} name
 * @param {import('node:child_process').ChildProcess & { stdout: import('node:stream').Readable }} child
 * @returns {Promise<number>}
 */
function servingPort(name, child) {
  const lines = createInterface(child.stdout);
  return new Promise((resolve, reject) => {
    /** @param {string} why */
    const fail = (why) => reject(new BenchError(`${name} did not start: ${why}`));
    const timeout = setTimeout(
      () => fail(`not serving after ${START_TIMEOUT_MS / 1000} s`),
      START_TIMEOUT_MS,
    );
    child.once('error', (error) => fail(error.message));
    child.once('exit', (code, signal) => fail(`it ended with ${signal ?? `exit code ${code}`}`));
    lines.on('line', (line) => {
      if (!line.includes('"msg":"serving"')) return;
      clearTimeout(timeout);
      // Read on: a full pipe would block the server.
      lines.close();
      child.stdout.resume();
      resolve(Number(JSON.parse(line).grpc.split(':').at(-1)));
    });
  });
}

/**
 * @param {string} name
 * @param {number} port
 * @param {import('node:child_process').ChildProcess & { stdout: import('node:stream').Readable }} child
 */
async function untilConnected(name, port, child) {
  child.stdout.resume();
  const deadline = Date.now() + START_TIMEOUT_MS;
  while (!(await accepts(port))) {
    if (child.exitCode !== null)
      throw new BenchError(`${name} did not start: it ended with exit code ${child.exitCode}`);
    if (Date.now() > deadline) throw new BenchError(`${name} did not start: port ${port} is closed`);
    await sleep(50);
  }
}

/** @param {number} port @returns {Promise<boolean>} */
function accepts(port) {
  return new Promise((resolve) => {
    const socket = connect(port, '127.0.0.1');
    socket.once('error', () => resolve(false));
    socket.once('connect', () => {
      socket.destroy();
      resolve(true);
    });
  });
}
