/** Finds out since when a store remembers what was recorded in it. */
import { type StoreConnection, StoreError } from './store-connection.ts';

/** Begins the name of every key that this service sets. */
export const KEY_PREFIX = 'approov:replay:';

export interface StoreMemory {
  /** Differs for each memory. */
  readonly id: string;
  /** What was recorded before may be forgotten. */
  readonly startSeconds: number;
}

/**
 * The first replica that sees a server process records when, so that a restart, a failover to a copy that lacks the last
 * marks, and a flush all begin a new memory, and every replica knows. So does an eviction: it may have been a mark.
 */
export async function readMemory(
  connection: StoreConnection,
  nowSeconds: () => number,
): Promise<StoreMemory> {
  const info = await connection.info();
  const runId = field(info, 'run_id');
  const evictions = field(info, 'evicted_keys');
  if (runId === undefined || evictions === undefined)
    throw new StoreError('INFO lacks run_id or evicted_keys');
  const now = Math.ceil(nowSeconds());
  const key = `${KEY_PREFIX}since:${runId}:${evictions}`;
  const since = (await connection.setIfAbsent(key, String(now))) ?? String(now);
  if (!/^\d{1,12}$/.test(since)) throw new StoreError(`a key under ${KEY_PREFIX}since: has another use`);
  // It began in the past, whatever the clock of that replica said.
  return { id: `${key} ${since}`, startSeconds: Math.min(now, Number(since)) };
}

function field(info: string, name: string): string | undefined {
  return new RegExp(`^${name}:([0-9a-f]{1,40})\\r?$`, 'm').exec(info)?.[1];
}
