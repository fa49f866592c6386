/** Owns what `npm run test:long` runs: the suites that need minutes and a quiet machine, one after another. */
import { defineConfig } from 'vitest/config';

export default defineConfig({
  test: {
    include: ['test/long/**/*.test.ts'],
    // They measure: two at once would measure each other.
    fileParallelism: false,
    testTimeout: 1_200_000,
    hookTimeout: 120_000,
  },
});
