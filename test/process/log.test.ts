/** Tests the log lines of a running service. */
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest';
import { VERSION } from '../../src/version.ts';
import { createCheckClient, type RequestJson, requestWith } from '../support/grpc-client.ts';
import { PATIENCE } from '../support/patience.ts';
import { type RunningService, startPretty, startServe } from '../support/process.ts';
import {
  fingerprint,
  freshToken,
  mintToken,
  OTHER_SECRET,
  OTHER_SECRET_BYTES,
  SECRET,
  SECRET_BYTES,
} from '../support/token.ts';

let folder = '';
let service: Pick<RunningService, 'kill'> | undefined;

const at = (name: string): string => join(folder, name);
const write = (name: string, content: string): void => writeFileSync(at(name), content);

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'log-'));
  write('current', SECRET);
});
afterEach(async () => {
  await service?.kill();
  service = undefined;
  rmSync(folder, { recursive: true });
});

/** Starts the service with key `current` and the rest of a configuration. */
async function start(rest: string): Promise<RunningService> {
  const running = await startServe({}, ['--config', writeConfig(rest)]);
  service = running;
  return running;
}

/** Starts it with a log for people. */
async function startForPeople(rest: string, options?: Parameters<typeof startPretty>[1]) {
  const running = await startPretty(['--config', writeConfig(rest)], options);
  service = running;
  return running;
}

function writeConfig(rest: string): string {
  write('config.yaml', `keys: [{id: current, secretFile: ${at('current')}}]\n${rest}`);
  return at('config.yaml');
}

async function check({ grpc }: RunningService, ...requests: readonly RequestJson[]): Promise<void> {
  const client = createCheckClient(grpc);
  for (const request of requests) await client.check(request);
  client.close();
}

test('a check line has its level, time, SDK status, trace id and how long the token has expired', async () => {
  const running = await start('log: {checks: all}');
  const now = Date.now() / 1000;
  await check(
    running,
    requestWith({ 'approov-token': mintToken({ exp: now - 600 }), 'approov-traceid': 'T-1' }),
    requestWith({ 'approov-token': freshToken({ nbf: now + 60 }), 'approov-traceid': '' }),
    requestWith({ 'approov-token': 'NO_NETWORK' }),
  );
  const lines = await vi.waitFor(() => {
    const checks = running.logLines().filter(({ reason }) => reason !== undefined);
    expect(checks).toHaveLength(3);
    return checks;
  }, PATIENCE);
  expect(lines).toMatchObject([
    { level: 'info', reason: 'token_expired', approov_trace_id: 'T-1' },
    { level: 'info', reason: 'token_not_yet_valid' },
    { level: 'info', reason: 'missing_approov_token', sdk_status: 'no_network' },
  ]);
  expect(Math.abs(Number(lines[0]?.['expired_seconds']) - 600)).toBeLessThan(30);
  expect(Math.abs(Number(lines[1]?.['expired_seconds']) - 60)).toBeLessThan(30);
  expect(lines[1]).not.toHaveProperty('approov_trace_id');
  for (const { time } of lines) expect(new Date(String(time)).toISOString()).toBe(time);
});

test('the start-up line has version, addresses, transport, file, policies with modes and keys with fingerprints', async () => {
  write('next', OTHER_SECRET);
  const keys = `keys: [{id: current, secretFile: ${at('current')}}, {id: next, kid: k, secretFile: ${at('next')}}]`;
  const policies = 'policies: {default: {mode: observe}, open: {mode: off}}';
  write('config.yaml', `${keys}\n${policies}\nlisten: {transport: lean}`);
  const running = await startServe({}, ['--config', at('config.yaml')]);
  service = running;
  expect(running.logLines().find(({ msg }) => msg === 'serving')).toMatchObject({
    version: VERSION,
    grpc: running.grpc,
    admin: running.admin,
    transport: 'lean',
    config_file: at('config.yaml'),
    policies: { default: 'observe', open: 'off' },
    keys: [
      { id: 'current', fingerprint: fingerprint(SECRET_BYTES) },
      { id: 'next', kid: 'k', fingerprint: fingerprint(OTHER_SECRET_BYTES) },
    ],
  });
});

test('a reload line says which modes, settings and keys changed, and a line of level debug which files', async () => {
  const running = await start('policies: {default: {mode: observe}}\nlog: {level: debug}');
  write('next', OTHER_SECRET);
  write('current', OTHER_SECRET);
  write(
    'config.yaml',
    `keys: [{id: current, secretFile: ${at('current')}}, {id: next, kid: k, secretFile: ${at('next')}}]
policies: {default: {clockToleranceSeconds: 5}, open: {mode: off}}
log: {checks: all}`,
  );
  running.signal('SIGHUP');
  await vi.waitFor(() => {
    const lines = running.logLines().filter(({ msg }) => msg === 'reloaded');
    expect(lines).toMatchObject([
      {
        source: 'config',
        changes: [
          'policy default: observe -> enforce',
          'policy default: clockToleranceSeconds changed',
          'policy open: added, off',
          'log.level: debug -> info',
          'log.checks: failures -> all',
        ],
      },
      {
        source: 'keys',
        changes: [
          `key current: ${fingerprint(SECRET_BYTES)} -> ${fingerprint(OTHER_SECRET_BYTES)}`,
          `key next: added ${fingerprint(OTHER_SECRET_BYTES)}`,
        ],
      },
    ]);
  }, PATIENCE);
  expect(running.logLines()).toContainEqual(
    expect.objectContaining({
      level: 'debug',
      msg: 'poll found changed files',
      files: [at('config.yaml'), at('current')],
      sources: ['config', 'keys'],
    }),
  );
});

describe('a log for people', () => {
  const NASTY = 'a\u0085\u009b2J\u202emoc\u2066z';
  const ESCAPED = String.raw`a\u0085\u009b2J\u202emoc\u2066z`;
  /** Everything but line breaks that is not printable ASCII. */
  const withoutText = (output: string): string => output.replaceAll(/[\x20-\x7e\r\n]/g, '');

  test.each([1, 2])('is written on a terminal by %i process(es), in colour', async (workers) => {
    const running = await startForPeople(`workers: ${workers}\n`, { isTerminal: true });
    const client = createCheckClient(running.grpc);
    await client.check(requestWith({ 'user-agent': NASTY }));
    client.close();
    // From two processes, the lines may arrive in any order.
    await vi.waitFor(() => {
      expect(running.output()).toContain('missing_approov_token');
      expect(running.output()).toContain('no checks yet');
    }, PATIENCE);
    await running.kill();
    const line =
      running
        .output()
        .split('\n')
        .find((each) => each.includes('check failed')) ?? '';
    expect(running.output().match(/no checks yet; in another terminal: /g)).toHaveLength(1);
    expect(line).toContain('\u001b[32mINFO\u001b[39m');
    expect(line).toContain(`"user_agent":"${ESCAPED}"`);
    expect(withoutText(running.output()).replaceAll('\u001b', '')).toBe('');
  });

  test('has no colour with NO_COLOR', async () => {
    const running = await startForPeople('', { env: { NO_COLOR: '1' }, isTerminal: true });
    await running.kill();
    expect(running.output()).toMatch(/^\[\d\d:\d\d:\d\d\.\d{3}\] INFO: serving \{"version":/m);
    expect(withoutText(running.output())).toBe('');
  });

  test('says what to do next, at start and at the first Ctrl-C', async () => {
    const running = await startForPeople('', { env: { NO_COLOR: '1' }, isTerminal: true });
    await vi.waitFor(() => expect(running.output()).toContain('no checks yet'), PATIENCE);
    const { grpc, admin } = JSON.parse(/serving (\{.*\})/.exec(running.output())?.[1] ?? '');
    expect(grpc).toBe(running.grpc);
    expect(running.output()).toContain(
      `no checks yet; in another terminal: APPROOV_ADMIN_LISTEN=${admin} approov-ext-authz status; Ctrl-C drains and stops`,
    );
    const CTRL_C = '\u0003';
    running.type(CTRL_C);
    await vi.waitFor(
      () => expect(running.output()).toContain('Press Ctrl-C again to stop immediately'),
      PATIENCE,
    );
    running.type(CTRL_C);
    expect(await running.ended).toBe(1);
    expect(running.output()).not.toContain('stopped');
  });

  test('is written to a pipe under format: pretty, without colour', async () => {
    const running = await startForPeople('log: {format: pretty}\n');
    await running.kill();
    expect(running.output()).toMatch(/^\[\d\d:\d\d:\d\d\.\d{3}\] INFO: serving \{"version":/m);
    expect(withoutText(running.output())).toBe('');
  });
});

test('a log to a pipe is JSON', async () => {
  const running = await start('log: {format: auto}');
  expect(running.output()).toMatch(/^\{"level":"info","time":"\d{4}-/m);
  expect(running.output()).not.toContain('Ctrl-C');
});
