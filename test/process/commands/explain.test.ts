/** Tests that `explain` decides as the running service does, and writes in colour on a terminal only. */
import { execFile } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { afterAll, expect, test } from 'vitest';
import { createExplainer } from '../../support/explain.ts';
import { createCheckClient, metadataOf } from '../../support/grpc-client.ts';
import { startServe } from '../../support/process.ts';
import { freshToken, OTHER_SECRET_BYTES } from '../../support/token.ts';

const explainer = createExplainer();
afterAll(() => explainer.remove());
const CONFIG = explainer.config;
const CLI = fileURLToPath(new URL('../../../dist/cli.js', import.meta.url));

test('explain decides as the running service does', async () => {
  const cases = [
    { token: freshToken({}) },
    { token: freshToken({}, { secret: OTHER_SECRET_BYTES }), policy: 'observe' },
    { token: freshToken({ iss: 'acme.approov.io', aud: 'h' }), policy: 'claims', host: 'H.:80' },
    { token: freshToken({ pay: 'x' }), policy: 'bound', header: 'authorization: a' },
    { policy: '' },
    { host: 'api.example.com', path: '/health' },
    { host: 'api.example.com', path: '/health/%2e%2e/x' },
    { host: 'api.example.com', path: '/health', method: 'POST' },
    { header: 'approov-token: rejected' },
  ];
  const service = await startServe({}, ['--config', CONFIG]);
  const client = createCheckClient(service.grpc);
  try {
    for (const { token, header, policy, host = '', path = '/', method = 'GET' } of cases) {
      const [name = '', value = ''] = header?.split(': ') ?? [];
      const headers = { ...(token && { 'approov-token': token }), ...(name && { [name]: value }) };
      const context_extensions = policy === undefined ? {} : { approov_policy: policy };
      const answer = await client.check({
        attributes: { context_extensions, request: { http: { method, path, host, headers } } },
      });
      const given = Object.entries({ token, header, policy, host, path, method }).filter(
        ([, value]) => value !== undefined,
      );
      const { text } = await explainer.run([
        '--json',
        ...given.map(([option, value]) => `--${option}=${value}`),
      ]);
      const { verdict, action, reason, policy: by, mode } = JSON.parse(text) as Record<string, unknown>;
      expect(metadataOf(answer)).toMatchObject({
        approov_verdict: verdict,
        approov_action: action,
        approov_reason: reason,
        approov_policy: by,
        approov_mode: mode,
      });
    }
  } finally {
    client.close();
    await service.kill();
  }
});

/** With a pseudo-terminal by script (util-linux). */
async function runOnTerminal(env: Readonly<Record<string, string>>): Promise<string> {
  const command = `${process.execPath} ${CLI} explain --path /health --host api.example.com`;
  const { stdout } = await promisify(execFile)('script', ['-qefc', command, '/dev/null'], {
    env: { PATH: process.env['PATH'], TERM: 'xterm-256color', APPROOV_CONFIG: CONFIG, ...env },
  });
  return stdout.split('\r\n')[0] ?? '';
}

test('explain writes in colour on a terminal, unless NO_COLOR is set', async () => {
  const text = ': policy open is off, so no token is required';
  expect(await runOnTerminal({})).toBe(`\u001b[32mallowed\u001b[39m${text}`);
  expect(await runOnTerminal({ NO_COLOR: '1' })).toBe(`allowed${text}`);
});
