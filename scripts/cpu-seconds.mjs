/** Measures the CPU time of other processes, for the benchmarks. */
import { readFileSync } from 'node:fs';

/**
 * CPU seconds used so far, user and system. Needs Linux's /proc.
 * @param {number} pid
 */
export function cpuSeconds(pid) {
  const fields = readFileSync(`/proc/${pid}/stat`, 'utf8').split(') ')[1]?.split(' ') ?? [];
  return (Number(fields[11]) + Number(fields[12])) / 100;
}
