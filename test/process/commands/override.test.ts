/** Tests `override` against a running service: what it does, what it prints, and what it says if it cannot. */
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { readMetrics } from '../../support/admin-pages.ts';
import { type CheckedService, createScratch, startChecked } from '../../support/checked-service.ts';
import { metadataOf } from '../../support/grpc-client.ts';
import { runInProcess } from '../../support/in-process.ts';
import { startPeer } from '../../support/peer.ts';
import { errorsOf, type Finished } from '../../support/process.ts';
import { SECRET } from '../../support/token.ts';

const scratch = createScratch('override');
let service: CheckedService;

beforeAll(async () => {
  const config = {
    keys: [{ id: 'current', secretFile: scratch.write('secret', SECRET) }],
    policies: { default: { enforcePercent: 50 }, open: { mode: 'off' } },
  };
  service = await startChecked(scratch, config, { APPROOV_ADMIN_LISTEN: '0.0.0.0:0' });
});
afterAll(async () => {
  await service.kill();
  scratch.remove();
});

/** All interfaces, which a command reaches on loopback. */
const admin = () => service.admin;

function run(args: readonly string[], address = admin()): Promise<Finished> {
  return runInProcess(['override', ...args], { APPROOV_ADMIN_LISTEN: address });
}

const SET = ['--policy', 'default', '--mode', 'limit', '--for', '30m', '--reason', 'locked out, INC-4711'];

async function modes(): Promise<ReadonlySet<string | undefined>> {
  const answers = await Promise.all(
    Array.from({ length: 20 }, (_, index) =>
      service.ask(undefined, { headers: { 'x-envoy-external-address': `192.0.2.${index}` } }),
    ),
  );
  return new Set(answers.map((answer) => metadataOf(answer)['approov_mode']));
}

describe('override', () => {
  test('puts a policy into another mode for all devices, is shown by status, and is cleared', async () => {
    expect([...(await modes())].sort()).toEqual(['enforce', 'observe']);
    expect(await run(SET)).toEqual({
      code: 0,
      stdout:
        'policy default: mode limit for 30 min 0 s, then enforce as configured; on this instance only.\n',
      stderr: '',
    });
    expect([...(await modes())]).toEqual(['limit']);
    const metrics = await readMetrics(service.admin);
    expect(metrics.get('approov_override_active{policy="default",mode="limit"}')).toBe(1);
    expect(metrics.has('approov_policy_enforce_percent{policy="default"}')).toBe(false);
    const status = await runInProcess(['status'], { APPROOV_ADMIN_LISTEN: admin() });
    expect(status.stdout).toMatch(
      /\n {2}default {2}limit .*\n.*\n {2}override: policy default is in mode limit for another \d+ min \d+ s, then\n {4}enforce as configured; reason: locked out, INC-4711\n/,
    );
    expect((await run([...SET, '--mode', 'observe', '--for=90s'])).stdout).toBe(
      'policy default: mode observe for 1 min 30 s, then enforce as configured; on this instance only. It replaces limit.\n',
    );
    expect([...(await modes())]).toEqual(['observe']);

    const clear = ['--policy=default', '--clear'];
    const ended = 'policy default: mode enforce as configured; the override with mode observe has ended\n';
    expect(await run(clear)).toEqual({ code: 0, stdout: ended, stderr: '' });
    const none = 'policy default: no override was active; the mode is enforce\n';
    expect(await run(clear)).toEqual({ code: 0, stdout: none, stderr: '' });
    expect([...(await modes())].sort()).toEqual(['enforce', 'observe']);
  });

  test.each<[what: string, args: readonly string[], errors: readonly string[]]>([
    [
      'without options',
      [],
      [
        '--policy: is required',
        '--mode: is required',
        '--for: is required: it must be 1s to 4h, such as 30m',
        '--reason: is required (see approov-ext-authz override --help)',
      ],
    ],
    [
      'with options that are all wrong',
      ['--policy=default', '--mode=observ', '--for=5h', '--reason= '],
      [
        '--mode: "observ" is not a mode; did you mean "observe"? (observe, limit, enforce)',
        '--for: must be 1s to 4h, such as 30m',
        '--reason: " " must have 1 to 200 printable characters (see approov-ext-authz override --help)',
      ],
    ],
    [
      'with mode off, and a time that is not one',
      ['--policy=default', '--mode=off', '--for=soon', '--reason=x'],
      [
        '--mode: off is not allowed: observe allows the same requests, and counts them',
        '--for: must be 1s to 4h, such as 30m (see approov-ext-authz override --help)',
      ],
    ],
    ...[
      ['30', '"30" needs a unit: 30s or 30m'],
      ['1.5', '"1.5" needs a unit: 1.5s or 1.5m'],
      ['1h30m', 'must be one number and one unit, such as 90m'],
    ].map(([time, problem]): [string, readonly string[], readonly string[]] => [
      `with --for ${time}`,
      ['--policy=default', '--mode=observe', `--for=${time}`, '--reason=x'],
      [`--for: ${problem} (see approov-ext-authz override --help)`],
    ]),
    [
      'with --clear and more',
      [...SET, '--clear'],
      [
        '--clear: ends an override, so it needs neither --mode, --for nor --reason (see approov-ext-authz override --help)',
      ],
    ],
    [
      'for a policy that is not configured',
      [...SET, '--policy=defualt'],
      ['--policy: unknown policy; did you mean default? (see approov-ext-authz override --help)'],
    ],
    [
      'for a policy that is like none',
      [...SET, '--policy=payments'],
      ['--policy: unknown policy; known: default, open (see approov-ext-authz override --help)'],
    ],
  ])('%s is bad usage', async (_, args, errors) => {
    const finished = await run(args);
    expect([finished.code, finished.stdout]).toEqual([2, '']);
    expect(errorsOf(finished)).toEqual(errors);
  });

  test('fails if nothing answers, something else does, or the service does not take it for local', async () => {
    const peer = await startPeer(
      (socket) => void socket.end('HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nhi'),
    );
    const notLocal = admin().replace('0.0.0.0', '127.0.0.2');
    const addresses = ['127.0.0.1:1', peer, notLocal];
    const finished = await Promise.all(addresses.map((address) => run(SET, address)));
    expect(finished.map(({ code }) => code)).toEqual([1, 1, 1]);
    expect(finished.map(({ stderr }) => stderr)).toEqual([
      '127.0.0.1:1: connection refused (ECONNREFUSED); is the service running? (its admin address: listen.admin or APPROOV_ADMIN_LISTEN)\n',
      `${peer} does not answer like the admin port of approov-ext-authz: check listen.admin or APPROOV_ADMIN_LISTEN\n`,
      `${notLocal}: overrides are accepted only from 127.0.0.1 or ::1; run this on the same host or in the same pod, and make sure listen.admin binds loopback or all interfaces\n`,
    ]);
  });
});
