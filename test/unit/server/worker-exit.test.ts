import { describe, expect, it } from 'vitest';
import {
  describeExit,
  exitFields,
  type WorkerExit,
  WorkerStartError,
} from '../../../src/server/worker-exit.ts';

describe('the end of a worker', () => {
  it.each<[exit: WorkerExit, words: string, fields: object, cause: string]>([
    [{ kind: 'exited', code: 1 }, 'worker exited', { exit_code: 1 }, 'exit code 1'],
    [
      { kind: 'exited', code: 2 },
      'worker failed to start: invalid configuration',
      { exit_code: 2 },
      'exit code 2',
    ],
    [{ kind: 'killed', signal: 'SIGKILL' }, 'worker killed', { signal: 'SIGKILL' }, 'killed by SIGKILL'],
    [
      { kind: 'spawnFailed', code: 'EAGAIN' },
      'worker failed to start: cannot spawn process',
      { error: 'EAGAIN' },
      'cannot spawn process: EAGAIN',
    ],
  ])('that is %o reads as "%s"', (exit, words, fields, cause) => {
    expect(describeExit(exit)).toBe(words);
    expect(exitFields(exit)).toEqual(fields);
    expect(new WorkerStartError(exit).message).toBe(`first worker failed to start: ${cause}`);
  });
});
