/** Owns what `npm test` runs: everything but the suites that need minutes or a platform's tools. */
import { defineConfig } from 'vitest/config';

export default defineConfig({
  test: {
    include: ['test/**/*.test.ts'],
    exclude: ['test/platform/**', 'test/long/**'],
    // Above every wait that a test makes itself, whose end says more.
    testTimeout: 120_000,
    hookTimeout: 120_000,
    reporters: ['default', ['json', { outputFile: '.vitest/results.json' }]],
  },
});
