/** Observes workers from outside: on the admin page, and in the process list. */
import { readFileSync } from 'node:fs';
import { expect, vi } from 'vitest';
import { readReadyz } from './admin-pages.ts';
import { PATIENCE } from './patience.ts';
import type { RunningService } from './process.ts';

/** Waits until this number of workers is ready, and returns their pids. */
export async function readyWorkers(running: Pick<RunningService, 'admin'>, count = 2): Promise<number[]> {
  return vi.waitFor(async () => {
    const { components } = await readReadyz(running.admin);
    const ready = Object.entries(components.workers ?? {}).filter(([, state]) => state === 'ready');
    expect(ready).toHaveLength(count);
    return ready.map(([pid]) => Number(pid));
  }, PATIENCE);
}

/** Whether a process runs; a zombie does not. */
export function isAlive(pid: number): boolean {
  try {
    return !/^State:\s+Z/m.test(readFileSync(`/proc/${pid}/status`, 'utf8'));
  } catch {
    return false;
  }
}

/** The pids of the running children of a process. */
function childrenOf(pid: number | undefined): number[] {
  return readFileSync(`/proc/${pid}/task/${pid}/children`, 'utf8').split(' ').filter(Boolean).map(Number);
}

/** The pids of the running children of a process that are suspended. */
export function suspendedChildrenOf(pid: number | undefined): number[] {
  return childrenOf(pid).filter((child) =>
    /^State:\s+T/m.test(readFileSync(`/proc/${child}/status`, 'utf8')),
  );
}
