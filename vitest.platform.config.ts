/** Owns what `npm run test:platform` runs: the suites that start a platform, one after another. */
import { defineConfig } from 'vitest/config';

export default defineConfig({
  test: {
    include: ['test/platform/**/*.test.ts'],
    // Platforms own fixed ports, bridges or a whole node: two at once would be in each other's way.
    fileParallelism: false,
    testTimeout: 600_000,
    hookTimeout: 900_000,
  },
});
