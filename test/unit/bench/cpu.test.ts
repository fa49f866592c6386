/** Tests that the bench measures a process together with its descendants. */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import { expect, onTestFinished, test } from 'vitest';
import { cpuNanoseconds, residentMebibytes } from '../../../bench/cpu.mjs';

const ownMebibytes = (pid: number) =>
  Number(/VmRSS:\s+(\d+)/.exec(readFileSync(`/proc/${pid}/status`, 'utf8'))?.[1]) / 1024;

test.skipIf(process.platform !== 'linux')(
  'CPU and memory of a process include those of its descendants',
  async () => {
    const parent = spawn('sh', ['-c', 'sleep 600 & echo $!; wait'], { stdio: ['ignore', 'pipe', 'ignore'] });
    const [line] = (await once(parent.stdout, 'data')) as [Buffer];
    const [pid, child] = [Number(parent.pid), Number(line)];
    onTestFinished(() => {
      process.kill(child);
      parent.kill();
    });
    expect(residentMebibytes(pid)).toBeCloseTo(ownMebibytes(pid) + ownMebibytes(child), 0);
    expect(cpuNanoseconds(pid)).toBeGreaterThan(cpuNanoseconds(child));
    expect(cpuNanoseconds(child)).toBeGreaterThan(0);
  },
);
