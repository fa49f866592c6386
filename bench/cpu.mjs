/** Measures the CPU time and the memory of other processes. Needs Linux's /proc. */
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { BenchError } from './errors.mjs';

/** @throws {BenchError} if CPU time cannot be read here */
export function requireCpuTimes() {
  if (existsSync('/proc/self/task') && cpuNanoseconds(process.pid) > 0) return;
  throw new BenchError(
    'CPU times are read from /proc/PID/task/*/schedstat, which only Linux has (CONFIG_SCHED_INFO)',
  );
}

/**
 * Nanoseconds of CPU used so far, user and system, by a process and its descendants. The clock ticks of /proc/PID/stat,
 * 10 ms each, would be too coarse for a slice.
 * @param {number} pid
 */
export function cpuNanoseconds(pid) {
  return sum(processTree(pid).map(ownNanoseconds));
}

/**
 * MiB of resident memory of a process and its descendants.
 * @param {number} pid
 */
export function residentMebibytes(pid) {
  return sum(processTree(pid).map(ownKibibytes)) / 1024;
}

/** @param {number} pid */
function ownNanoseconds(pid) {
  const threads = readdirSync(`/proc/${pid}/task`);
  return sum(threads.map((thread) => Number(read(`/proc/${pid}/task/${thread}/schedstat`).split(' ')[0])));
}

/** @param {number} pid */
function ownKibibytes(pid) {
  return Number(/^VmRSS:\s+(\d+) kB$/m.exec(read(`/proc/${pid}/status`))?.[1] ?? 0);
}

/**
 * A process and its descendants.
 * @param {number} root
 * @returns {number[]}
 */
function processTree(root) {
  const parents = readdirSync('/proc')
    .filter((name) => /^\d+$/.test(name))
    .map((name) => ({ pid: Number(name), parent: parentOf(name) }));
  const tree = [root];
  for (const pid of tree)
    tree.push(...parents.filter(({ parent }) => parent === pid).map((child) => child.pid));
  return tree;
}

/** @param {string} pid */
function parentOf(pid) {
  // The name of the program, in parentheses, may contain spaces.
  return Number(read(`/proc/${pid}/stat`).split(') ').at(-1)?.split(' ')[1] ?? 0);
}

/** @param {string} file of a process or thread that may have ended: then it is empty. */
function read(file) {
  try {
    return readFileSync(file, 'utf8');
  } catch {
    return '';
  }
}

/** @param {number[]} values */
function sum(values) {
  return values.reduce((total, value) => total + value, 0);
}
