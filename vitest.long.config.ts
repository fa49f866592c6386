/** Configures `npm run test:long`: suites that need minutes and a quiet machine, one at a time. */
import { defineConfig } from 'vitest/config';

export default defineConfig({
  test: {
    include: ['test/long/**/*.test.ts'],
    // They measure, so two at once would distort each other.
    fileParallelism: false,
    testTimeout: 1_200_000,
    hookTimeout: 120_000,
  },
});
