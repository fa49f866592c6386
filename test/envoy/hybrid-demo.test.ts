/** Tests that each request of the demo gets the same answer when Envoy verifies plain tokens itself. */
import { once } from 'node:events';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { isExpected } from '../../scripts/demo/screen.mjs';
import { type Stack, sampleWithMode } from '../../scripts/demo/stack.mjs';
import { CHAPTERS, editRow, FILES, FIRST_MODE, type Row, TOKENS } from '../../scripts/demo/story.mjs';
import { changeMode, outcomeOf } from '../../scripts/demo/traffic.mjs';
import type { RunningEnvoy } from '../../scripts/envoy.mjs';
import { EXT_AUTHZ, readEnvoySample, SIGNED_ENVOY_CONFIG, startSample } from '../support/envoy.ts';
import { HYBRID_ENVOY_CONFIG, withJwkSet, writeJwkSet } from '../support/hybrid.ts';
import { runInProcess } from '../support/in-process.ts';
import { type RunningService, startServe } from '../support/process.ts';
import { SECRET } from '../support/token.ts';

const folder = mkdtempSync(join(tmpdir(), 'hybrid-demo-'));
const configFile = join(folder, 'config.yaml');
const ENV = { APPROOV_BASE64_SECRET: SECRET };

/** The API of the demo. */
const api = createServer((request, response) => {
  request.resume();
  response.writeHead(200, { 'content-type': 'application/json', 'x-from': 'upstream' });
  response.end(JSON.stringify({ headers: request.headers }));
});

let service: RunningService;
let envoy: RunningEnvoy;
let stack: Stack;

async function mint(args: readonly string[]): Promise<string> {
  const { code, stdout, stderr } = await runInProcess(['mint', ...args], ENV);
  if (code !== 0) throw new Error(stderr);
  return stdout.trim();
}

function setMode(mode: string): void {
  writeFileSync(configFile, sampleWithMode(mode));
}

beforeAll(async () => {
  setMode(FIRST_MODE);
  for (const [name, content] of Object.entries(FILES)) writeFileSync(join(folder, name), content);
  for (const [name, args] of Object.entries(TOKENS))
    writeFileSync(join(folder, name), `approov-token: ${await mint(args)}\n`);
  await writeJwkSet(join(folder, 'jwk-set.json'), ['--config', configFile], ENV);
  api.listen(0, '127.0.0.1');
  await once(api, 'listening');
  service = await startServe(ENV, ['--config', configFile]);
  const upstream = `127.0.0.1:${(api.address() as AddressInfo).port}`;
  // As in the demo, Envoy also sends the service what apps sign.
  const signed = readEnvoySample(SIGNED_ENVOY_CONFIG).httpFilter(EXT_AUTHZ);
  envoy = await startSample(
    { services: [service.grpc], upstream },
    (sample) => {
      withJwkSet(sample, join(folder, 'jwk-set.json'));
      for (const field of ['allowed_headers', 'with_request_body'])
        sample.httpFilter(EXT_AUTHZ).set(field, signed.get(field));
    },
    HYBRID_ENVOY_CONFIG,
  );
  const { grpc, admin } = service;
  const port = envoy.port('api');
  stack = { port, folder, service: { grpc, admin, logLines: [] }, envoy, setMode, mint, explain: mint };
});
afterAll(async () => {
  await envoy?.stop();
  await service?.kill();
  api.close();
  rmSync(folder, { recursive: true });
});

/** Envoy verifies these tokens itself; those of Alice are bound, and signed requests have a key of their installation. */
function isVerifiedInProxy({ request: { headers = [] } }: Row): boolean {
  return headers.length === 1 && headers[0] === '@valid';
}

for (const { title, edit, rows } of CHAPTERS) {
  if (edit !== undefined) {
    test(`${title}: every request is allowed while the mode becomes ${edit}`, async () => {
      const outcome = await changeMode(stack, edit, { headers: ['@valid'] });
      expect(isExpected(editRow(edit, ''), outcome)).toBe(true);
    });
  }
  test.each(rows)(`${title}: $words gets $expected $reason`, async (row) => {
    const { answer, reason } = await outcomeOf(stack, row.request);
    if (row.pattern === undefined) expect(answer).toBe(row.expected);
    else expect(answer).toMatch(row.pattern);
    // The service was not asked, so Envoy's access log has no reason.
    expect(reason).toBe(isVerifiedInProxy(row) ? 'not checked' : row.reason);
  });
}
