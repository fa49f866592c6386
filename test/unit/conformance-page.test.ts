/** Tests that docs/conformance.md lists every row, and that each held with every version when it was written. */
import { readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { expect, test } from 'vitest';
import { envoyVersions } from '../../scripts/find-envoy.mjs';
import { SECTIONS } from '../conformance/rows.ts';
import { renderConformance } from '../conformance/table.ts';

test('docs/conformance.md is what `npm run conformance` writes if every row holds', async () => {
  const versions = (await envoyVersions()).map(({ version }) => version);
  const rows = SECTIONS.flatMap((section) => section.rows);
  const green = new Map(versions.map((version) => [version, { holds: true, isSensitive: true }]));
  const outcomes = new Map(rows.map(({ behaviour }) => [behaviour, green]));
  const page = fileURLToPath(new URL('../../docs/conformance.md', import.meta.url));
  expect(readFileSync(page, 'utf8')).toBe(renderConformance(SECTIONS, versions, outcomes));
});
