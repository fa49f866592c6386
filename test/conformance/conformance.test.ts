/** Checks every row with every version of Envoy, shows that a broken service fails it, and writes docs/conformance.md. */
import { writeFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { envoyVersions } from '../../scripts/find-envoy.mjs';
import { checkBrokenRow, checkRow, SECTIONS } from './rows.ts';
import { type Outcome, renderConformance } from './table.ts';
import { startWorld, type World } from './world.ts';

const PAGE = fileURLToPath(new URL('../../docs/conformance.md', import.meta.url));

const versions = await envoyVersions();
const ROWS = SECTIONS.flatMap(({ rows }) => rows).map((row) => [row.behaviour, row] as const);
/** By behaviour and version. */
const outcomes = new Map<string, Map<string, Outcome>>();

function record(behaviour: string, version: string, outcome: Partial<Outcome>): void {
  const ofRow = outcomes.get(behaviour) ?? new Map<string, Outcome>();
  outcomes.set(
    behaviour,
    ofRow.set(version, { holds: false, isSensitive: false, ...ofRow.get(version), ...outcome }),
  );
}

afterAll(() => {
  const shown = versions.map(({ version }) => version);
  // A run of some tests only must not overwrite the page.
  const isComplete = ROWS.every(([behaviour]) => outcomes.get(behaviour)?.size === shown.length);
  if (isComplete) writeFileSync(PAGE, renderConformance(SECTIONS, shown, outcomes));
});

describe.each(versions.map(({ version, find }) => [version, find] as const))('Envoy %s', (version, find) => {
  let world: World;
  beforeAll(async () => {
    world = await startWorld(await find());
  });
  afterAll(() => world?.stop());

  test('is the version that runs', async () => {
    expect((await world.envoy()).version).toBe(version);
  });

  describe.each(ROWS)('%s', (_behaviour, row) => {
    test('holds', async () => {
      record(row.behaviour, version, {});
      await checkRow(row, world);
      record(row.behaviour, version, { holds: true });
      expect(outcomes.get(row.behaviour)?.get(version)?.holds).toBe(true);
    });

    test('fails with a service that is broken on purpose', async () => {
      await checkBrokenRow(row, world);
      record(row.behaviour, version, { isSensitive: true });
    });
  });
});
