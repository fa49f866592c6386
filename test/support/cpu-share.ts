/** Owns holding a process to its share of one core, by a cgroup of its own. Needs Linux and root. */
import { existsSync, mkdirSync, rmdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';

/** Short against a measurement, so that a share is used evenly. */
const PERIOD_US = 20_000;
const ROOT = '/sys/fs/cgroup';

/** Both versions of cgroups: where groups are made, and which files say how much CPU one gets. */
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
 * Holds a process to a share of one core until it ends.
 * @returns what takes its group away once it has ended, and may be called again until then; `undefined` where no group can be made.
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
