/** Runs the commands of docs/rotation.md and further rotations under load, without a single wrong answer. */
import { execFile } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { chmodSync, readFileSync, rmSync } from 'node:fs';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { afterAll, beforeAll, describe, expect, test, vi } from 'vitest';
import { parse, stringify } from 'yaml';
import { readMetrics, readReadyz } from '../support/admin-pages.ts';
import { type CheckedService, createScratch, startChecked } from '../support/checked-service.ts';
import { createCheckClient, metadataOf, requestWith } from '../support/grpc-client.ts';
import { runTool } from '../support/platform-tool.ts';
import { PROMTOOL, parseExposition, unknownIn } from '../support/prometheus.ts';
import { unmet } from '../support/requirement.ts';
import { freshToken } from '../support/token.ts';

const ROTATIONS = 20;
/** How long a change may take to apply. */
const PROMISED = { timeout: 6000, interval: 20 };
/** The id of the new key in docs/rotation.md. */
const NEW_ID = '2026-11';
const PAGE = readFileSync(new URL('../../docs/rotation.md', import.meta.url), 'utf8');

const withoutPromtool = await unmet([PROMTOOL], 'that the queries of docs/rotation.md are PromQL');
const scratch = createScratch('rotation');
afterAll(() => scratch.remove());

interface Block {
  readonly language: string;
  readonly text: string;
}

/** The fenced blocks of the page's section, in order. */
function blocksOf(heading: string): readonly Block[] {
  const section = PAGE.split(/^## /m).find((each) => each.startsWith(`${heading}\n`)) ?? '';
  return [...section.matchAll(/^( *)```(\w+)\n(.*?)^\1```$/gms)].map(
    ([, indent = '', language = '', text = '']) => ({
      language,
      text: text.replaceAll(new RegExp(`^${indent}`, 'gm'), ''),
    }),
  );
}

interface Secret {
  readonly bytes: Buffer;
  readonly base64: string;
  /** A few are sent repeatedly, to use the token cache. */
  readonly tokens: readonly string[];
}

function createSecret(): Secret {
  const bytes = randomBytes(64);
  const tokens = Array.from({ length: 4 }, () => freshToken({}, { secret: bytes }));
  return { bytes, base64: bytes.toString('base64'), tokens };
}

/** The expected reason by secret, while it is certain. */
type Expectations = Map<Secret, 'ok' | 'invalid_token_signature'>;

interface Report {
  answered: number;
  readonly wrong: string[];
  readonly failed: string[];
}

/** Sends tokens of every secret with an expectation, on several connections, until it is stopped. */
function startLoad(grpc: string, expectations: Expectations): { report: Report; stop(): Promise<void> } {
  const report: Report = { answered: 0, wrong: [], failed: [] };
  const clients = Array.from({ length: 4 }, () => createCheckClient(grpc));
  let isStopped = false;
  const run = async (client: ReturnType<typeof createCheckClient>): Promise<void> => {
    for (let turn = 0; !isStopped; turn++) {
      const [secret, expected] = [...expectations][turn % expectations.size] ?? [];
      const remembered = secret?.tokens[turn % 4] ?? '';
      const token = turn % 3 === 0 && secret ? freshToken({}, { secret: secret.bytes }) : remembered;
      const reason = await client
        .check(requestWith({ 'approov-token': token }))
        .then((answer) => metadataOf(answer)['approov_reason'])
        .catch((error: Error) => void report.failed.push(error.message));
      report.answered += 1;
      // The expectation may have changed while the request was in flight.
      const isCertain = secret !== undefined && expectations.get(secret) === expected;
      if (reason !== undefined && isCertain && reason !== expected)
        report.wrong.push(`${reason}, not ${expected}`);
      await sleep(5);
    }
  };
  const runs = clients.map(run);
  return {
    report,
    async stop() {
      isStopped = true;
      await Promise.all(runs);
      for (const client of clients) client.close();
    },
  };
}

let service: CheckedService;
let load: ReturnType<typeof startLoad>;
const expectations: Expectations = new Map();
const forged = createSecret();
let current = createSecret();

function keysOf(...ids: readonly string[]): readonly object[] {
  return ids.map((id) => ({ id, secretFile: scratch.path(id) }));
}

async function reasonOf(secret: Secret): Promise<string> {
  return service.reasonOf(freshToken({}, { secret: secret.bytes }));
}

beforeAll(async () => {
  scratch.write('current', current.base64);
  service = await startChecked(scratch, { keys: keysOf('current') });
  expectations.set(current, 'ok').set(forged, 'invalid_token_signature');
  load = startLoad(service.grpc, expectations);
});
afterAll(async () => {
  await load.stop();
  await service.kill();
});

/** After a key was added: once it has verified one token, it must verify all. */
async function awaitAccepted(secret: Secret): Promise<void> {
  await vi.waitFor(async () => expect(await reasonOf(secret)).toBe('ok'), PROMISED);
  expectations.set(secret, 'ok');
}

/** After a key was removed: once one token is refused, all must be, cached or not. */
async function awaitRefused(secret: Secret, remove: () => void): Promise<void> {
  for (const token of secret.tokens) expect(await service.reasonOf(token)).toBe('ok');
  expectations.delete(secret);
  remove();
  await vi.waitFor(async () => expect(await reasonOf(secret)).toBe('invalid_token_signature'), PROMISED);
  expectations.set(secret, 'invalid_token_signature');
  for (const token of secret.tokens) expect(await service.reasonOf(token)).toBe('invalid_token_signature');
}

/** Approov and the apps have switched: the load no longer sends tokens of the old secret. */
async function awaitQuiet(oldId: string, newId: string, secret: Secret): Promise<void> {
  const expectation = expectations.get(secret);
  expectations.delete(secret);
  const used = async (id: string) =>
    (await service.metric(`approov_key_verifications_total{key_id="${id}"}`)) ?? Number.NaN;
  await vi.waitFor(async () => {
    const [oldBefore, newBefore] = [await used(oldId), await used(newId)];
    await sleep(100);
    expect(await used(oldId)).toBe(oldBefore);
    expect(await used(newId)).toBeGreaterThan(newBefore);
  }, PROMISED);
  const lastUsed = (id: string) => service.metric(`approov_key_last_used_timestamp_seconds{key_id="${id}"}`);
  expect(await lastUsed(oldId)).toBeLessThan((await lastUsed(newId)) ?? 0);
  if (expectation !== undefined) expectations.set(secret, expectation);
}

describe('the procedure of docs/rotation.md', () => {
  const blocks = blocksOf('Rotate the HS256 secret');
  const of = (language: string): readonly string[] =>
    blocks.filter((block) => block.language === language).map(({ text }) => text);

  /** Replaces the paths of the page with those of this test. */
  function here(text: string): string {
    return text
      .replaceAll('/run/secrets/approov/', `${scratch.folder}/`)
      .replaceAll('/etc/approov/config.yaml', service.configFile)
      .replaceAll('127.0.0.1:9002', service.admin);
  }

  const [setting] = [...PAGE.matchAll(/^```sh\n(.*?)^```$/gms)].map(([, text = '']) => text);

  /** Runs a block in bash as if pasted, with `approov-ext-authz` on the PATH. */
  async function run(script: string): Promise<string> {
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
    service.writeConfig(parse(here(yaml)) as object);
  }

  test('has these steps', () => {
    expect(blocks.map(({ language }) => language)).toEqual([
      ...['yaml', 'sh', 'yaml', 'sh', 'promql', 'sh', 'promql', 'yaml', 'sh', 'promql'],
    ]);
    expect(setting).toContain('METRICS=');
  });

  test('succeeds without a wrong answer', async () => {
    const [oneKey = '', twoKeys = '', newKey = ''] = of('yaml');
    const [lay = '', see = '', tryIt = '', tidyUp = ''] = of('sh');
    const next = createSecret();
    expect(parse(here(oneKey))).toEqual({ keys: keysOf('current') });

    scratch.write('new-secret.txt', `${next.base64}\n`);
    await run(lay);
    configure(twoKeys);
    await run(see);
    await awaitAccepted(next);
    expect(await run(tryIt)).toContain('allow');

    await awaitQuiet('current', NEW_ID, current);
    await awaitRefused(current, () => configure(newKey));
    await run(tidyUp);
    expect((await readReadyz(service.admin)).components).toMatchObject({
      keys: { loaded: [{ id: NEW_ID }] },
      files: { config: 'ok', keys: 'ok' },
    });
    current = next;
  });

  const queries = [...PAGE.matchAll(/```promql\n(.*?)```/gs)]
    .flatMap(([, text = '']) => text.split('\n').map((line) => line.replace(/\s*#.*$/, '').trim()))
    .filter((query) => query !== '');

  test('has queries that the service’s metrics can answer', async () => {
    const exposition = parseExposition(await (await fetch(`http://${service.admin}/metrics`)).text());
    expect(queries).toHaveLength(8);
    expect(queries.flatMap((query) => unknownIn(query, { exposition, envoy: [], recorded: [] }))).toEqual([]);
  });

  test.skipIf(withoutPromtool !== '')(`asks queries in good PromQL${withoutPromtool}`, async () => {
    const rules = queries.map((expr, index) => ({ record: `query:${index}`, expr }));
    const file = scratch.write('rules.yaml', stringify({ groups: [{ name: 'queries', rules }] }));
    const { code, output } = await runTool('promtool', ['check', 'rules', file]);
    expect([code, output]).toEqual([0, expect.stringContaining(`${queries.length} rules found`)]);
  });
});

test(`${ROTATIONS} rotations under load give no wrong answer and no failed call`, async () => {
  let id = NEW_ID;
  for (let rotation = 2; rotation <= ROTATIONS; rotation++) {
    const [old, oldId] = [current, id];
    current = createSecret();
    id = `r${rotation}`;
    scratch.write(id, current.base64);
    expect(await reasonOf(current)).toBe('invalid_token_signature');
    service.writeConfig({ keys: keysOf(oldId, id) });
    await awaitAccepted(current);
    await awaitQuiet(oldId, id, old);
    const kept = { keys: keysOf(id) };
    await awaitRefused(old, () => service.writeConfig(kept));
    rmSync(scratch.path(oldId));
  }
  await load.stop();
  const { answered, wrong, failed } = load.report;
  expect({ wrong, failed }).toEqual({ wrong: [], failed: [] });
  process.stdout.write(`${ROTATIONS} rotations: ${answered} answers, none wrong\n`);
  expect(answered).toBeGreaterThan(ROTATIONS * 20);
  // Until the end, every secret but the last was expected to verify nothing.
  expect([...expectations.values()].filter((reason) => reason === 'ok')).toHaveLength(1);
  expect(expectations.size).toBe(ROTATIONS + 2);
  const metrics = await readMetrics(service.admin);
  expect(metrics.get('approov_reloads_total{source="config",outcome="failure"}')).toBe(0);
  expect(metrics.get('approov_reloads_total{source="config",outcome="success"}')).toBe(2 * ROTATIONS);
  expect([...metrics.keys()].filter((name) => name.startsWith('approov_key_verifications_total'))).toEqual([
    `approov_key_verifications_total{key_id="r${ROTATIONS}"}`,
  ]);
  const internal = [...metrics].filter(([name]) => name.includes('reason="internal_error"'));
  expect(internal.map(([, count]) => count).every((count) => count === 0)).toBe(true);
}, 300_000);
