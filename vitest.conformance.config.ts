/** Configures `npm run conformance`: what the project relies on in Envoy, in every version that it is tested with. */
import { defineConfig } from 'vitest/config';

export default defineConfig({
  test: {
    include: ['test/conformance/**/*.test.ts'],
    testTimeout: 120_000,
    hookTimeout: 300_000,
  },
});
