/** Tests docs/rotation.md: its steps and commands, run under load, and repeated rotations without a wrong answer. */
import { execFile } from 'node:child_process';
import { chmodSync, rmSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { parse } from 'yaml';
import { readMetrics, readReadyz } from '../support/admin-pages.ts';
import { codeBlocksOf, readPage, sectionsOf } from '../support/markdown.ts';
import { expectPromQl, PROMTOOL, parseExposition, unknownIn } from '../support/prometheus.ts';
import { unmet } from '../support/requirement.ts';
import { createSecret, type RotatingService, startRotatingService } from '../support/rotating-service.ts';

const SERVICES = 2;
const ROTATIONS_EACH = 10;
/** Under load before and after each change of the configuration. */
const ANSWERS = 20;
/** The id of the new key in docs/rotation.md. */
const NEW_ID = '2026-11';
const PAGE = readPage('docs/rotation.md');

const withoutPromtool = await unmet([PROMTOOL], 'that the queries of docs/rotation.md are PromQL');

describe('docs/rotation.md', () => {
  let rotating: RotatingService;
  beforeAll(async () => {
    rotating = await startRotatingService('rotation');
  });
  afterAll(() => rotating.stop());

  const blocks = codeBlocksOf(sectionsOf(PAGE).get('Rotate the HS256 secret') ?? '');
  const of = (language: string): readonly string[] =>
    blocks.filter((block) => block.language === language).map(({ text }) => text);

  /** Replaces the page's paths and addresses by those of the service under test. */
  function here(text: string): string {
    const { scratch, service } = rotating;
    return text
      .replaceAll('/run/secrets/approov/', `${scratch.folder}/`)
      .replaceAll('/etc/approov/config.yaml', service.configFile)
      .replaceAll('127.0.0.1:9002', service.admin);
  }

  const [setting] = [...PAGE.matchAll(/^```sh\n(.*?)^```$/gms)].map(([, text = '']) => text);

  /** Runs a block in bash as an operator would, with `approov-ext-authz` on the PATH. */
  async function run(script: string): Promise<string> {
    const { scratch } = rotating;
    const cli = fileURLToPath(new URL('../../dist/cli.js', import.meta.url));
    chmodSync(
      scratch.write('approov-ext-authz', `#!/bin/sh\nexec "${process.execPath}" "${cli}" "$@"\n`),
      0o755,
    );
    const { stdout } = await promisify(execFile)(
      'bash',
      ['-euo', 'pipefail', '-c', here(`${setting}${script}`)],
      {
        cwd: scratch.folder,
        env: { PATH: `${scratch.folder}:${process.env['PATH']}` },
        timeout: 25_000,
      },
    );
    return stdout;
  }

  function configure(yaml: string): void {
    rotating.service.writeConfig(parse(here(yaml)) as object);
  }

  test('has the steps that this file runs, in their order', () => {
    expect(blocks.map(({ language }) => language)).toEqual([
      ...['yaml', 'sh', 'yaml', 'sh', 'promql', 'sh', 'promql', 'yaml', 'sh', 'promql'],
    ]);
    expect(setting).toContain('METRICS=');
  });

  test('rotates the secret without a wrong answer when its commands are run in order', async () => {
    const [oneKey = '', twoKeys = '', newKey = ''] = of('yaml');
    const [writeSecret = '', showKeys = '', explain = '', removeOld = ''] = of('sh');
    const { scratch, service, first } = rotating;
    const next = createSecret();
    expect(parse(here(oneKey))).toEqual({ keys: rotating.keysOf('current') });

    scratch.write('new-secret.txt', `${next.base64}\n`);
    await run(writeSecret);
    configure(twoKeys);
    await run(showKeys);
    await rotating.awaitAccepted(next);
    expect(await run(explain)).toContain('allow');

    await rotating.awaitUnused('current', NEW_ID, first);
    await rotating.awaitRefused(first, () => configure(newKey));
    await run(removeOld);
    expect((await readReadyz(service.admin)).components).toMatchObject({
      keys: { loaded: [{ id: NEW_ID }] },
      files: { config: 'ok', keys: 'ok' },
    });
    await expectNoWrongAnswer(rotating);
  });

  const queries = [...PAGE.matchAll(/```promql\n(.*?)```/gs)]
    .flatMap(([, text = '']) => text.split('\n').map((line) => line.replace(/\s*#.*$/, '').trim()))
    .filter((query) => query !== '');

  test('has only queries that the metrics of the service can answer', async () => {
    const exposition = parseExposition(
      await (await fetch(`http://${rotating.service.admin}/metrics`)).text(),
    );
    expect(queries).toHaveLength(8);
    expect(queries.flatMap((query) => unknownIn(query, { exposition, envoy: [], recorded: [] }))).toEqual([]);
  });

  test.skipIf(withoutPromtool !== '')(`has only valid PromQL${withoutPromtool}`, async () => {
    await expectPromQl(queries, rotating.scratch.folder);
  });
});

/** On SIGHUP, as a rotation would mostly wait for the poller, which the steps of the page use. */
async function rotateRepeatedly(rotating: RotatingService): Promise<void> {
  const { scratch, service, keysOf } = rotating;
  const configure = (...ids: readonly string[]): void => {
    service.writeConfig({ keys: keysOf(...ids) });
    service.signal('SIGHUP');
  };
  let [old, oldId] = [rotating.first, 'current'];
  for (let rotation = 1; rotation <= ROTATIONS_EACH; rotation++) {
    const [next, id] = [createSecret(), `r${rotation}`];
    scratch.write(id, next.base64);
    expect(await rotating.reasonOf(next)).toBe('invalid_token_signature');
    configure(oldId, id);
    await rotating.awaitAccepted(next);
    await rotating.awaitAnswers(ANSWERS);
    await rotating.awaitUnused(oldId, id, old);
    await rotating.awaitRefused(old, () => configure(id));
    await rotating.awaitAnswers(ANSWERS);
    rmSync(scratch.path(oldId));
    [old, oldId] = [next, id];
  }
}

/** @returns how many answers the load received. */
async function expectNoWrongAnswer(rotating: RotatingService): Promise<number> {
  const { answered, wrong, failed } = await rotating.stopLoad();
  expect({ wrong, failed }).toEqual({ wrong: [], failed: [] });
  return answered;
}

test(`${SERVICES * ROTATIONS_EACH} rotations under load give no wrong answer and no failed call`, async () => {
  const services = await Promise.all(
    Array.from({ length: SERVICES }, (_, index) => startRotatingService(`rotation-${index}`)),
  );
  try {
    await Promise.all(services.map(rotateRepeatedly));
    let total = 0;
    for (const rotating of services) {
      const answered = await expectNoWrongAnswer(rotating);
      expect(answered).toBeGreaterThan(ROTATIONS_EACH * 2 * ANSWERS);
      total += answered;
      // Only the last secret is still accepted; the others are the forged one, the first one and those in between.
      expect([...rotating.expectations.values()].filter((reason) => reason === 'ok')).toHaveLength(1);
      expect(rotating.expectations.size).toBe(ROTATIONS_EACH + 2);
      const metrics = await readMetrics(rotating.service.admin);
      expect(metrics.get('approov_reloads_total{source="config",outcome="failure"}')).toBe(0);
      expect(metrics.get('approov_reloads_total{source="config",outcome="success"}')).toBe(
        2 * ROTATIONS_EACH,
      );
      expect(
        [...metrics.keys()].filter((name) => name.startsWith('approov_key_verifications_total')),
      ).toEqual([`approov_key_verifications_total{key_id="r${ROTATIONS_EACH}"}`]);
      const internal = [...metrics].filter(([name]) => name.includes('reason="internal_error"'));
      expect(internal.map(([, count]) => count).every((count) => count === 0)).toBe(true);
    }
    process.stdout.write(`${SERVICES * ROTATIONS_EACH} rotations: ${total} answers, none wrong\n`);
  } finally {
    await Promise.all(services.map((rotating) => rotating.stop()));
  }
});
