/** Configures `npm run test:platform`: suites that start a platform, one at a time. */
import { defineConfig } from 'vitest/config';

export default defineConfig({
  test: {
    include: ['test/platform/**/*.test.ts'],
    // Platforms use fixed ports, bridges or a whole node, so two at once would conflict.
    fileParallelism: false,
    testTimeout: 600_000,
    hookTimeout: 900_000,
  },
});
