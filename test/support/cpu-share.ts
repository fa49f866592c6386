/** Limits a process to a share of one core with a cgroup. Needs Linux and root. */
import { existsSync, mkdirSync, rmdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';

/** Short compared with a measurement, so that the share is used evenly. */
const PERIOD_US = 20_000;
const ROOT = '/sys/fs/cgroup';

/** For cgroups v1 and v2: where groups are created, and which files set their CPU quota. */
const VERSIONS = [
  {
    folder: join(ROOT, 'cpu'),
    probe: 'cpu.cfs_quota_us',
    files: (quotaUs: number) => ({ 'cpu.cfs_period_us': `${PERIOD_US}`, 'cpu.cfs_quota_us': `${quotaUs}` }),
  },
  {
    folder: ROOT,
    probe: 'cpu.max',
    files: (quotaUs: number) => ({ 'cpu.max': `${quotaUs} ${PERIOD_US}` }),
  },
];

/**
 * Limits a process to a share of one core until it exits.
 * @returns a function that removes the group after the process has exited, safe to call repeatedly; `undefined` where no
 * group can be created.
 */
export function limitCpu(pid: number, share: number): (() => void) | undefined {
  for (const { folder, probe, files } of VERSIONS) {
    const group = join(folder, `approov-test-${pid}`);
    try {
      mkdirSync(group);
    } catch {
      continue;
    }
    if (existsSync(join(group, probe))) {
      const contents = { ...files(Math.round(share * PERIOD_US)), 'cgroup.procs': String(pid) };
      for (const [file, content] of Object.entries(contents)) writeFileSync(join(group, file), content);
      return () => {
        if (existsSync(group)) rmdirSync(group);
      };
    }
    rmdirSync(group);
  }
  return undefined;
}
