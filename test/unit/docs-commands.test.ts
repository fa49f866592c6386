/** Tests that the commands and queries of the documentation run: shell syntax, jq programs, PromQL, fingerprints. */
import { execFile } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { afterAll, describe, expect, test } from 'vitest';
import { Secret } from '../../src/approov/secret.ts';
import { codeBlocksOf, readPage } from '../support/markdown.ts';
import { expectPromQl, PROMTOOL } from '../support/prometheus.ts';
import { program, unmet } from '../support/requirement.ts';
import { SECRET, SECRET_BYTES } from '../support/token.ts';

const TROUBLESHOOTING = readPage('docs/troubleshooting.md');
const FOLDER = mkdtempSync(join(tmpdir(), 'approov-docs-'));
afterAll(() => rmSync(FOLDER, { recursive: true, force: true }));

const JQ = program('jq', ['--version'], 'https://jqlang.org');
const withoutJq = await unmet([JQ], 'that the log queries of docs/troubleshooting.md run');
const withoutPromtool = await unmet([PROMTOOL], 'that the queries of docs/troubleshooting.md are PromQL');

async function bash(script: string): Promise<string> {
  const { stdout, stderr } = await promisify(execFile)('bash', ['-euo', 'pipefail', '-c', script], {
    cwd: FOLDER,
    timeout: 60_000,
  });
  expect(stderr).toBe('');
  return stdout;
}

function linesOf(language: string): readonly string[] {
  return codeBlocksOf(TROUBLESHOOTING)
    .filter((block) => block.language === language)
    .flatMap(({ text }) => text.split('\n').map((line) => line.trim()))
    .filter((line) => line !== '');
}

test.each([
  'README.md',
  'docs/troubleshooting.md',
  'docs/recipes.md',
  'docs/runbook.md',
  'docs/commands.md',
  'docs/hybrid.md',
  'docs/override.md',
  'docs/install/docker-compose.md',
  'docs/install/envoy-gateway.md',
  'docs/install/istio.md',
  'docs/install/kubernetes.md',
  'docs/install/other.md',
])('the shell blocks of %s are valid bash', async (page) => {
  const scripts = codeBlocksOf(readPage(page)).filter(({ language }) => language === 'sh');
  expect(scripts.length).toBeGreaterThan(0);
  const file = join(FOLDER, `${page.replaceAll('/', '-')}.sh`);
  writeFileSync(file, scripts.map(({ text }) => `${text}\n`).join(''));
  expect(await bash(`bash -n ${file}`)).toBe('');
});

describe('the fingerprint commands of docs/troubleshooting.md', () => {
  const [, section = ''] = TROUBLESHOOTING.split('\n## Fingerprints\n');
  const commands = codeBlocksOf(section.split('\n## ', 1)[0] ?? '').map(({ text }) => text);
  const { fingerprint } = Secret.parse(SECRET);

  test('print what check-config prints for a secret in base64', async () => {
    writeFileSync(join(FOLDER, 'FILE'), `${SECRET}\n`);
    expect(commands).toHaveLength(2);
    for (const command of commands) expect((await bash(command)).trim()).toBe(fingerprint);
  });

  test('print it for a secret in base64url without padding', async () => {
    writeFileSync(join(FOLDER, 'FILE'), `${SECRET_BYTES.toString('base64url')}\n`);
    expect((await bash(commands[1] ?? '')).trim()).toBe(fingerprint);
  });
});

const LOG = [
  'a line that is not JSON',
  '{"level":"info","time":"2026-11-29T22:20:15.044Z","pid":1,"hostname":"vm","keys":[],"msg":"serving"}',
  '{"level":"info","time":"2026-11-29T22:25:22.142Z","pid":1,"hostname":"vm","changes":["x"],"msg":"reloaded"}',
  '{"level":"info","time":"2026-11-29T22:26:14.818Z","pid":1,"hostname":"vm","reason":"token_expired","policy":"default",' +
    '"mode":"enforce","action":"deny","would_deny":true,"expired_seconds":300.1,"user_agent":"find-me","msg":"check failed"}',
];

test.skipIf(withoutJq !== '')(`the log queries of docs/troubleshooting.md run${withoutJq}`, async () => {
  writeFileSync(join(FOLDER, 'service.log'), LOG.map((line) => `${line}\n`).join(''));
  const queries = linesOf('sh').filter((line) => line.startsWith('logs '));
  expect(queries.length).toBeGreaterThan(15);
  const outputs: string[] = [];
  for (const query of queries) outputs.push(await bash(`logs() { cat service.log; }\n${query}`));
  expect(outputs[0]?.trim()).toBe('1 token_expired');
  const empty = queries.filter((_, index) => outputs[index] === '');
  // These look for a value that the log does not have.
  expect(empty.filter((query) => !/binding|external-address|did|TRACE-ID|x-request-id/.test(query))).toEqual(
    [],
  );
});

test.skipIf(withoutPromtool !== '')(`the query of docs/hybrid.md is PromQL${withoutPromtool}`, async () => {
  const queries = codeBlocksOf(readPage('docs/hybrid.md')).filter(({ language }) => language === 'promql');
  expect(queries).toHaveLength(1);
  await expectPromQl(
    queries.map(({ text }) => text),
    FOLDER,
  );
});

test.skipIf(withoutPromtool !== '')(
  `the queries of docs/troubleshooting.md are PromQL${withoutPromtool}`,
  async () => {
    const queries = linesOf('promql');
    expect(queries.length).toBeGreaterThan(5);
    await expectPromQl(queries, FOLDER);
  },
);
