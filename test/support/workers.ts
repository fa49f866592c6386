/** Owns what is seen of workers from outside: on the admin page, and in the system's list of processes. */
import { readFileSync } from 'node:fs';
import { expect, vi } from 'vitest';
import { readReadyz } from './admin-pages.ts';
import type { RunningService } from './process.ts';

const PATIENCE = { timeout: 25_000, interval: 100 };

/** Waits until so many workers are ready, and says which. */
export async function readyWorkers(running: Pick<RunningService, 'admin'>, count = 2): Promise<number[]> {
  return vi.waitFor(async () => {
    const { components } = await readReadyz(running.admin);
    const ready = Object.entries(components.workers ?? {}).filter(([, state]) => state === 'ready');
    expect(ready).toHaveLength(count);
    return ready.map(([pid]) => Number(pid));
  }, PATIENCE);
}

/** A process that has ended, and whose parent has not taken note of it, is not alive. */
export function isAlive(pid: number): boolean {
  try {
    return !/^State:\s+Z/m.test(readFileSync(`/proc/${pid}/status`, 'utf8'));
  } catch {
    return false;
  }
}

/** The processes that one has started and that have not ended. */
export function childrenOf(pid: number | undefined): number[] {
  return readFileSync(`/proc/${pid}/task/${pid}/children`, 'utf8').split(' ').filter(Boolean).map(Number);
}
