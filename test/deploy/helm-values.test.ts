/** The chart's values that fit it to a cluster: who may call, which user runs it, what else is mounted, and where it listens. */
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { parse } from 'yaml';
import { parseConfig } from '../../src/config/parse.ts';
import { configOf, refusal, render, renderNotes } from '../support/chart.ts';
import { HELM, unmet } from '../support/requirement.ts';

const skipped = await unmet([HELM], 'that the chart fits a cluster by its values');

/** Values as a person writes them: in YAML, which Helm reads by the rules of YAML 1.1. */
async function withYaml<T>(text: string, use: (file: string) => Promise<T>): Promise<T> {
  const folder = mkdtempSync(join(tmpdir(), 'chart-yaml-'));
  const file = join(folder, 'values.yaml');
  try {
    writeFileSync(file, text);
    return await use(file);
  } finally {
    rmSync(folder, { recursive: true });
  }
}

describe.skipIf(skipped !== '')(`the policies in the chart's values${skipped}`, () => {
  test('may be off without quotes, which YAML 1.1 reads as false', async () => {
    await withYaml('config: {policies: {open: {mode: off}, strict: {mode: enforce}}}', async (file) => {
      const config = configOf(await render(file));
      expect(parse(config).policies).toEqual({
        default: { mode: 'observe' },
        open: { mode: 'off' },
        strict: { mode: 'enforce' },
      });
      expect(parseConfig(config, {}).problems).toEqual([]);
      const notes = await renderNotes(file);
      expect(notes).toContain('Policy "open" does not enforce (mode off)');
      expect(notes).toContain('Policy "default" does not enforce (mode observe)');
      expect(notes).not.toContain('Policy "strict"');
    });
  });

  test.each(['on', 'yes', 'true'])('may not have the mode %s', async (mode) => {
    await withYaml(`config: {policies: {open: {mode: ${mode}}}}`, async (file) => {
      expect(await refusal(file)).toContain("'/config/policies/open/mode'");
    });
  });

  test.each([
    {
      config: { routes: [{ policy: 'default' }, { pathPrefix: '/search', policy: 'limitd' }] },
      says: 'config.routes[1].policy: "limitd" names no policy; there are: default, limited',
    },
    {
      config: { defaultPolicy: 'strict' },
      says: 'config.defaultPolicy: "strict" names no policy; there are: default, limited',
    },
  ])('must have the one that is named: $says', async ({ config, says }) => {
    expect(await refusal({ config: { policies: { limited: { mode: 'limit' } }, ...config } })).toContain(
      says,
    );
  });

  test('may leave the default one to the service, which has it anyway', async () => {
    const routes = [{ host: 'api.example.com', policy: 'default' }];
    const config = configOf(await render({ config: { policies: { default: null }, routes } }));
    expect(parse(config).policies).toEqual({});
    expect(parseConfig(config, {}).problems).toEqual([]);
  });
});
