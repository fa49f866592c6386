/** Runs every test of `npm test`: all but the suites that need minutes (test/long) or a platform's tools (test/platform). */
import { availableParallelism } from 'node:os';
import { defineConfig } from 'vitest/config';
import { BaseSequencer, type TestSpecification } from 'vitest/node';
import { TRANSPORT } from './test/support/transport.ts';

/**
 * They need a CPU that is mostly idle: the first compares CPU times, the next three send requests at a fixed rate, and the
 * demo runs a sample for Envoy as it is, with 0.2 s for a check.
 */
const SENSITIVE = [
  'test/process/request-cost.test.ts',
  'test/envoy/restarts.test.ts',
  'test/envoy/drain.test.ts',
  'test/envoy/connections.test.ts',
  'test/envoy/demo.test.ts',
];

/** For all other files, so that those can start first and run beside them. */
const LOW_PRIORITY = ['test/support/low-priority.ts'];

/** It replaces a module, which lasts as long as the process. */
const MOCKING = ['test/unit/authz/path-cost.test.ts'];

/** Most files wait most of the time: for a poll of files, a drain, a timeout. */
const WORKERS = 4 * availableParallelism();

/** Started in this order: what waits longest comes first, and unit tests fill the idle CPU behind it. */
const FOLDERS = ['test/envoy/', 'test/process/', 'test/deploy/', 'packages/unary-grpc/test/', 'test/unit/'];
const SLOWEST = [
  ...SENSITIVE,
  'test/process/rotation.test.ts',
  'test/process/listeners.test.ts',
  'test/process/workers.test.ts',
  'test/process/hostile-peers.test.ts',
  'test/process/cli-streams.test.ts',
  'test/deploy/prometheus.test.ts',
  'test/deploy/grafana-queries.test.ts',
  'test/process/reload-keys.test.ts',
  'test/process/reload-configuration.test.ts',
];

class SlowestFirst extends BaseSequencer {
  override async sort(files: TestSpecification[]): Promise<TestSpecification[]> {
    const rank = ({ moduleId }: TestSpecification): number => {
      const slow = SLOWEST.findIndex((name) => moduleId.endsWith(`/${name}`));
      if (slow >= 0) return slow - SLOWEST.length;
      return FOLDERS.findIndex((folder) => moduleId.includes(folder));
    };
    return (await super.sort(files)).sort((one, other) => rank(one) - rank(other));
  }
}

export default defineConfig({
  test: {
    // Longer than any wait inside a test, so that the test's own message is the one reported.
    testTimeout: 120_000,
    hookTimeout: 120_000,
    reporters: ['default', ['json', { outputFile: `.vitest/${TRANSPORT}.json` }]],
    sequence: { sequencer: SlowestFirst },
    // A test that verifies nothing fails.
    expect: { requireAssertions: true },
    // Spies and stubs of one file must not reach the next in the same process.
    restoreMocks: true,
    unstubEnvs: true,
    maxWorkers: WORKERS,
    projects: [
      { extends: true, test: { name: 'sensitive', include: SENSITIVE } },
      { extends: true, test: { name: 'mocking', include: MOCKING, setupFiles: LOW_PRIORITY } },
      {
        extends: true,
        test: {
          name: 'shared',
          include: FOLDERS.map((folder) => `${folder}**/*.test.ts`),
          exclude: [...SENSITIVE, ...MOCKING],
          // One process runs many files: a process of its own would cost each about half a CPU second.
          isolate: false,
          setupFiles: LOW_PRIORITY,
        },
      },
    ],
  },
});
