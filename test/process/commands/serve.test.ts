/** Owns the proof that `serve` runs what the configuration says, from where it is named, or does not start at all. */
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

/** Mode and reason of a check with these headers, of a service that was started so. */
async function decidedBy(
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

const bearing = (secret?: Buffer) => ({
  'approov-token': freshToken({}, secret === undefined ? {} : { secret }),
});

describe('serve', () => {
  test('needs no file: a secret in the environment, and it enforces', async () => {
    expect(await decidedBy({ APPROOV_BASE64_SECRET: SECRET }, [], bearing())).toEqual({
      mode: 'enforce',
      reason: 'ok',
    });
  });

  test('reads the secret from a file that the environment names', async () => {
    const env = {
      APPROOV_BASE64_SECRET_FILE: fileWith('secret', `\n${OTHER_SECRET}\n`),
      APPROOV_MODE: 'observe',
    };
    expect(await decidedBy(env, [], bearing(OTHER_SECRET_BYTES))).toEqual({ mode: 'observe', reason: 'ok' });
  });

  test('binds tokens to the header that the environment names, if they are bound', async () => {
    const env = { APPROOV_BASE64_SECRET: SECRET, APPROOV_BINDING_HEADER: 'authorization' };
    const bound = { 'approov-token': freshToken({ pay: 'x' }) };
    expect(await decidedBy(env, [], bound)).toEqual({ mode: 'enforce', reason: 'missing_binding_header' });
  });

  test('takes variables that are empty as not set', async () => {
    const env = {
      APPROOV_BASE64_SECRET: SECRET,
      APPROOV_BASE64_SECRET_FILE: '',
      APPROOV_MODE: '',
      APPROOV_CONFIG: '',
      LOG_LEVEL: '',
    };
    expect(await decidedBy(env, [], bearing())).toEqual({ mode: 'enforce', reason: 'ok' });
  });

  test('takes its file from APPROOV_CONFIG, and rather from --config', async () => {
    const limit = fileWith('limit.yaml', 'policies: {default: {mode: limit}}');
    const observe = fileWith('observe.yaml', 'policies: {default: {mode: observe}}');
    const env = { APPROOV_BASE64_SECRET: SECRET, APPROOV_CONFIG: limit };
    expect(await decidedBy(env, [], {})).toMatchObject({ mode: 'limit' });
    await service?.kill();
    expect(await decidedBy(env, ['--config', observe], {})).toMatchObject({ mode: 'observe' });
  });

  test('lets the environment override the policy that defaultPolicy names, and no other', async () => {
    const file = fileWith(
      'named.yaml',
      'defaultPolicy: main\npolicies: {main: {mode: off}, other: {mode: off}}',
    );
    const env = { APPROOV_BASE64_SECRET: SECRET, APPROOV_MODE: 'limit' };
    expect(await decidedBy(env, ['--config', file], {})).toMatchObject({ mode: 'limit' });
    const warned = service?.logLines().filter(({ level }) => level === 40) ?? [];
    expect(warned.map(({ policy, mode }) => [policy, mode])).toEqual(
      expect.arrayContaining([
        ['main', 'limit'],
        ['other', 'off'],
      ]),
    );
  });

  test('starts nothing, and says nothing on stdout, if any part of the configuration is bad', async () => {
    const finished = await runCli(['serve', '--config', fileWith('bad.yaml', 'listen: {admin: nowhere}')], {
      APPROOV_BASE64_SECRET: SECRET,
    });
    expect(finished).toMatchObject({ code: 2, stdout: '' });
    expect(finished.stderr).toContain('listen.admin: ');
  });

  test('ends with 0 once it is asked to', async () => {
    service = await startServe({ APPROOV_BASE64_SECRET: SECRET }, [
      '--config',
      fileWith('quick.yaml', 'drain: {delaySeconds: 0}'),
    ]);
    service.signal('SIGTERM');
    expect(await service.ended).toBe(0);
    expect(service.logLines().at(-1)).toMatchObject({ msg: 'stopped' });
  });
});
