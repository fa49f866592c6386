/** Tests that the table of network faults in docs/operations.md is the one that test/platform/faults.test.ts verifies. */
import { readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { expect, test } from 'vitest';
import { faultTable } from '../support/faults.ts';

test('docs/operations.md has the table of network faults', () => {
  const page = readFileSync(fileURLToPath(new URL('../../docs/operations.md', import.meta.url)), 'utf8');
  expect(page).toContain(faultTable());
});
