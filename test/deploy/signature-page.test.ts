/** Checks docs/message-signatures.md: the service accepts its configurations, Envoy its snippets, and Envoy changes the paths that it lists. */
import { writeFileSync } from 'node:fs';
import { rootCertificates } from 'node:tls';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { type RunningEnvoy, validateConfig } from '../../scripts/envoy.mjs';
import { PROBLEM_MEANINGS } from '../../src/approov/message-signature/problem-meaning.ts';
import { REASONS } from '../../src/authz/reason.ts';
import { createScratch } from '../support/checked-service.ts';
import { readEnvoySample, send, startSample, startUpstream, type Upstream } from '../support/envoy.ts';
import { codeBlocksOf, readPage, sectionsOf, tableRows } from '../support/markdown.ts';
import { INSTALL_KEY, ipkOf } from '../support/message-signature.ts';
import { checkConfigOf, insertSnippet, placeOf, secretOf, writePageConfig } from '../support/page-config.ts';
import { type RunningService, startServe } from '../support/process.ts';
import { mintToken } from '../support/token.ts';

const scratch = createScratch('signature-page');
afterAll(() => scratch.remove());
const PAGE = readPage('docs/message-signatures.md');
const BLOCKS = codeBlocksOf(PAGE).flatMap(({ language, text }) => (language === 'yaml' ? [text] : []));
const CONFIGS = BLOCKS.filter((text) => text.startsWith('keys:'));
const SNIPPETS = BLOCKS.filter((text) => text.startsWith('# '));
const [CA = ''] = rootCertificates;

test('every YAML block of the page is a configuration of the service or a snippet for Envoy', () => {
  expect(CONFIGS).toHaveLength(7);
  expect(CONFIGS.length + SNIPPETS.length).toBe(BLOCKS.length);
});

test.each(CONFIGS.map((yaml, index) => [index, yaml] as const))(
  'check-config accepts configuration %i without a warning',
  async (index, yaml) => {
    const file = writePageConfig(scratch.path(`configuration-${index}`), yaml, { 'redis-ca': CA });
    expect(await checkConfigOf(file)).toEqual(['exit 0', expect.stringMatching(/^ok: /)]);
  },
);

test.each(SNIPPETS.map((text) => [placeOf(text), text] as const))(
  'Envoy accepts in envoy.yaml the snippet "%s"',
  async (_place, text) => {
    const sample = readEnvoySample();
    insertSnippet(sample, text);
    const file = scratch.path(`snippet-${SNIPPETS.indexOf(text)}.yaml`);
    writeFileSync(file, sample.document.toString());
    expect(await validateConfig(file)).toBeUndefined();
  },
);

test('the table of problems has those of the log, with the meanings that explain gives', () => {
  const rows = tableRows(PAGE, '`signature_problem`');
  expect(rows.map(([name = '', meaning]) => [name.slice(1, -1), meaning])).toEqual(
    Object.entries(PROBLEM_MEANINGS),
  );
});

test('the table of reasons has those of the message signature, in their order', () => {
  const reasons = tableRows(sectionsOf(PAGE).get('Reasons') ?? '', 'reason').map(([name = '']) =>
    name.slice(1, -1),
  );
  const known = Object.entries(REASONS).filter(([, row]) => row.step === 'message_signature');
  expect(reasons).toEqual([...known.map(([reason]) => reason), 'internal_error']);
});

describe('the table of paths', () => {
  const rows = tableRows(sectionsOf(PAGE).get('Where the filter must stand') ?? '', 'the app requests');
  let upstream: Upstream;
  let envoy: RunningEnvoy;

  beforeAll(async () => {
    upstream = await startUpstream();
    envoy = await startSample({ services: ['127.0.0.1:9'], upstream: upstream.address }, (sample) => {
      sample.connectionManager.deleteIn(['http_filters', 1]);
    });
  });
  afterAll(async () => {
    await envoy?.stop();
    await upstream?.close();
  });

  test('has paths that Envoy changes, and paths that it does not', () => {
    const outcomes = new Set(rows.map(([, , signature]) => signature));
    expect([...outcomes]).toEqual(['verifies', 'does not verify', 'not checked']);
  });

  test.each(rows)('says what Envoy makes of %s', async (requested = '', changed, signature) => {
    const path = requested.slice(1, -1);
    const { status, upstream: seen } = await send(envoy, { path });
    expect(changed).toBe(status === 200 ? `\`${seen?.path}\`` : String(status));
    const whenAllowed = seen?.path === path ? 'verifies' : 'does not verify';
    expect(signature).toBe(status === 200 ? whenAllowed : 'not checked');
  });
});

test('a policy that only observes sees the signatures of requests that another policy decides', async () => {
  const config = CONFIGS.find((yaml) => yaml.includes('signed:')) ?? '';
  const upstream = await startUpstream();
  const service = await startServe({}, ['--config', writePageConfig(scratch.path('observed'), config)]);
  const envoy = await startSample({ services: [service.grpc], upstream: upstream.address }, (sample) => {
    for (const text of SNIPPETS.filter((snippet) => snippet.includes('approov.observe_signatures')))
      insertSnippet(sample, text);
  });
  try {
    const claims = { exp: Date.now() / 1000 + 60, ipk: ipkOf(INSTALL_KEY.publicKey) };
    const token = mintToken(claims, { secret: secretOf('current') });
    expect((await send(envoy, { headers: [['approov-token', token]] })).status).toBe(200);
    expect((await send(envoy)).status).toBe(401);
    expect(await countsOf(service)).toEqual([
      'default allow ok 1',
      'default deny missing_approov_token 1',
      'signed allow missing_approov_token 1',
      'signed allow missing_message_signature 1',
    ]);
  } finally {
    await envoy.stop();
    await service.kill();
    await upstream.close();
  }
});

/** The checks of a service so far: policy, action, reason and number. */
async function countsOf(service: RunningService): Promise<string[]> {
  const metrics = await (await fetch(`http://${service.admin}/metrics`)).text();
  return [...metrics.matchAll(/^approov_checks_total\{(.*)\} ([1-9]\d*)$/gm)]
    .map(([, labels = '', count]) => {
      const labelOf = (label: string) => new RegExp(`${label}="(\\w+)"`).exec(labels)?.[1];
      return [labelOf('policy'), labelOf('action'), labelOf('reason'), count].join(' ');
    })
    .sort();
}
