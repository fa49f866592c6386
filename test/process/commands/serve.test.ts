/** Tests where `serve` takes its configuration from, and that it does not start with a bad one. */
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, afterEach, describe, expect, test } from 'vitest';
import { createCheckClient, metadataOf, requestWith } from '../../support/grpc-client.ts';
import { type RunningService, runCli, startServe } from '../../support/process.ts';
import { freshToken, OTHER_SECRET, OTHER_SECRET_BYTES, SECRET } from '../../support/token.ts';

const folder = mkdtempSync(join(tmpdir(), 'serve-'));
afterAll(() => rmSync(folder, { recursive: true }));
let service: RunningService | undefined;
afterEach(async () => {
  await service?.kill();
  service = undefined;
});

function fileWith(name: string, content: string): string {
  writeFileSync(join(folder, name), content);
  return join(folder, name);
}

/** Starts a service, and returns mode and reason of a check with these headers. */
async function decisionOf(
  env: Readonly<Record<string, string>>,
  args: readonly string[],
  headers: Readonly<Record<string, string>>,
) {
  service = await startServe(env, args);
  const client = createCheckClient(service.grpc);
  const { approov_mode: mode, approov_reason: reason } = metadataOf(await client.check(requestWith(headers)));
  client.close();
  return { mode, reason };
}

const withToken = (secret?: Buffer) => ({
  'approov-token': freshToken({}, secret === undefined ? {} : { secret }),
});

describe('serve', () => {
  test('runs without a file: with a secret in the environment, it enforces', async () => {
    expect(await decisionOf({ APPROOV_BASE64_SECRET: SECRET }, [], withToken())).toEqual({
      mode: 'enforce',
      reason: 'ok',
    });
  });

  test('reads the secret from the file in APPROOV_BASE64_SECRET_FILE', async () => {
    const env = {
      APPROOV_BASE64_SECRET_FILE: fileWith('secret', `\n${OTHER_SECRET}\n`),
      APPROOV_MODE: 'observe',
    };
    expect(await decisionOf(env, [], withToken(OTHER_SECRET_BYTES))).toEqual({
      mode: 'observe',
      reason: 'ok',
    });
  });

  test('checks the binding to the header in APPROOV_BINDING_HEADER', async () => {
    const env = { APPROOV_BASE64_SECRET: SECRET, APPROOV_BINDING_HEADER: 'authorization' };
    const bound = { 'approov-token': freshToken({ pay: 'x' }) };
    expect(await decisionOf(env, [], bound)).toEqual({ mode: 'enforce', reason: 'missing_binding_header' });
  });

  test('treats empty variables as not set', async () => {
    const env = {
      APPROOV_BASE64_SECRET: SECRET,
      APPROOV_BASE64_SECRET_FILE: '',
      APPROOV_MODE: '',
      APPROOV_CONFIG: '',
      LOG_LEVEL: '',
    };
    expect(await decisionOf(env, [], withToken())).toEqual({ mode: 'enforce', reason: 'ok' });
  });

  test('reads the file named by APPROOV_CONFIG, or by --config if both are given', async () => {
    const limit = fileWith('limit.yaml', 'policies: {default: {mode: limit}}');
    const observe = fileWith('observe.yaml', 'policies: {default: {mode: observe}}');
    const env = { APPROOV_BASE64_SECRET: SECRET, APPROOV_CONFIG: limit };
    expect(await decisionOf(env, [], {})).toMatchObject({ mode: 'limit' });
    await service?.kill();
    expect(await decisionOf(env, ['--config', observe], {})).toMatchObject({ mode: 'observe' });
  });

  test('applies APPROOV_MODE to the policy that defaultPolicy names, and to no other', async () => {
    const file = fileWith(
      'named.yaml',
      'defaultPolicy: main\npolicies: {main: {mode: off}, other: {mode: off}}',
    );
    const env = { APPROOV_BASE64_SECRET: SECRET, APPROOV_MODE: 'limit' };
    expect(await decisionOf(env, ['--config', file], {})).toMatchObject({ mode: 'limit' });
    const warned = service?.logLines().filter(({ level }) => level === 'warn') ?? [];
    expect(warned.map(({ policy, mode }) => [policy, mode])).toEqual(
      expect.arrayContaining([
        ['main', 'limit'],
        ['other', 'off'],
      ]),
    );
  });

  test('exits 2 without output on stdout if any part of the configuration is bad', async () => {
    const finished = await runCli(['serve', '--config', fileWith('bad.yaml', 'listen: {admin: nowhere}')], {
      APPROOV_BASE64_SECRET: SECRET,
    });
    expect(finished).toMatchObject({ code: 2, stdout: '' });
    expect(finished.stderr).toContain('listen.admin: ');
  });

  test('exits 0 after SIGTERM', async () => {
    service = await startServe({ APPROOV_BASE64_SECRET: SECRET }, [
      '--config',
      fileWith('quick.yaml', 'drain: {delaySeconds: 0}'),
    ]);
    service.signal('SIGTERM');
    expect(await service.ended).toBe(0);
    expect(service.logLines().at(-1)).toMatchObject({ msg: 'stopped' });
  });
});
