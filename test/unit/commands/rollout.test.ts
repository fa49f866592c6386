/** Tests what `rollout` says if it cannot ask, or is asked wrongly. */
import { once } from 'node:events';
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { createRolloutRecorder } from '../../../src/rollout/recorder.ts';
import { NOW, policy, policyTable } from '../../support/check.ts';
import { runInProcess } from '../../support/in-process.ts';
import { recordOf, reportOf } from '../../support/rollout.ts';

/** Answers every request with this. */
let answer = { status: 200, body: '' };
let server: Server;
let address: string;

beforeAll(async () => {
  server = createServer((_request, response) => response.writeHead(answer.status).end(answer.body));
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  address = `127.0.0.1:${(server.address() as AddressInfo).port}`;
});
afterAll(() => void server.close());

/** The exit code, and what is printed, with the address replaced. */
async function run(args: readonly string[], env: Readonly<Record<string, string>> = {}) {
  const { code, stdout, stderr } = await runInProcess(['rollout', ...args], env);
  return { code, out: stdout.replaceAll(address, 'ADDRESS'), err: stderr.replaceAll(address, 'ADDRESS') };
}

describe('bad usage of rollout is exit 2', () => {
  test.each<[args: string[], message: string]>([
    [['--match', 'job="a"'], '--match: needs --prometheus'],
    [
      ['--prometheus', 'prometheus:9090'],
      '--prometheus: must be the URL of a Prometheus server, such as http://prometheus:9090',
    ],
    [
      ['--prometheus', 'ftp://prometheus'],
      '--prometheus: must be the URL of a Prometheus server, such as http://prometheus:9090',
    ],
    [
      ['--prometheus', 'http://a:b@prometheus'],
      '--prometheus: must not have a user name or password, which other users of this machine see',
    ],
    [
      ['--prometheus', 'http://p', '--match', 'job=~"a\\"}'],
      '--match: must be label matchers such as job="approov-ext-authz",namespace="prod"',
    ],
    [['--polcy', 'a'], 'no such option: --polcy; did you mean --policy?'],
    [['default'], 'unexpected argument; only options are accepted'],
  ])('%j', async (args, message) => {
    expect(await run(args)).toEqual({
      code: 2,
      out: '',
      err: `approov-ext-authz: ${message} (see approov-ext-authz rollout --help)\n`,
    });
  });
});

test('rollout shows an override, and the share of devices for which a policy enforces', async () => {
  const report = reportOf({
    policyTable: policyTable(policy({ enforcePercent: 25 })),
    overrides: new Map([
      [
        'default',
        {
          mode: 'observe',
          since: '2026-11-24T05:58:00.000Z',
          until: '2026-11-24T06:30:00.000Z',
          reason: 'login fails',
        },
      ],
    ]),
  });
  answer = { status: 200, body: JSON.stringify(report) };
  const { code, out } = await run([], { APPROOV_ADMIN_LISTEN: address });
  expect(code).toBe(5);
  expect(out.split('\n').slice(2, 5)).toEqual([
    'Policy default, mode observe (overridden; configured: enforce for 25 % of devices)',
    '  override: mode observe for another 30 min 0 s, then enforce for 25 % of',
    '  devices as configured; reason: login fails',
  ]);
});

test('rollout says that a policy has been counted for less long than the instance, and since what', async () => {
  const recorder = createRolloutRecorder(NOW - 86_400);
  recorder.configure(policyTable(policy({ mode: 'off' })), undefined, NOW - 86_400);
  recorder.configure(policyTable(policy({ mode: 'observe' })), undefined, NOW - 120);
  const policies = policyTable(policy({ mode: 'observe' }));
  answer = {
    status: 200,
    body: JSON.stringify(reportOf({ snapshot: recorder.snapshot(), policyTable: policies })),
  };
  const { out } = await run([], { APPROOV_ADMIN_LISTEN: address });
  expect(out).toContain('counted for 24 h\n');
  expect(out).toContain('\n  Policy counted for 2 min since the policy was off.\n');
});

test('rollout prints no counts of a policy that is off, which are of the time before', async () => {
  const recorder = createRolloutRecorder(NOW - 86_400);
  for (let check = 0; check < 200; check++) recorder.checkDone(recordOf({}, NOW - 7200));
  const policies = policyTable(policy({ mode: 'off' }));
  answer = {
    status: 200,
    body: JSON.stringify(reportOf({ snapshot: recorder.snapshot(), policyTable: policies })),
  };
  const { out } = await run([], { APPROOV_ADMIN_LISTEN: address });
  expect(out).toContain('Can’t tell: the policy is off');
  expect(out).not.toContain('of 200 checks');
});

describe('rollout exits with 1 and one line', () => {
  const asking = () => ({ APPROOV_ADMIN_LISTEN: address });

  test('if the service does not run', async () => {
    expect(await run([], { APPROOV_ADMIN_LISTEN: '127.0.0.1:1' })).toEqual({
      code: 1,
      out: '',
      err: '127.0.0.1:1: connection refused (ECONNREFUSED); is the service running? (its admin address: listen.admin or APPROOV_ADMIN_LISTEN)\n',
    });
  });

  test.each(['', '{}', '<html>', '{"version":"1","covers":{},"policies":[]}', '[1]'])(
    'if what answers is not the service (%j)',
    async (body) => {
      answer = { status: 200, body };
      expect(await run([], asking())).toEqual({
        code: 1,
        out: '',
        err: 'ADDRESS does not answer like the admin port of approov-ext-authz: check listen.admin or APPROOV_ADMIN_LISTEN\n',
      });
    },
  );

  test.each<[status: number, body: string, problem: string]>([
    [200, 'hello', 'HTTP: status 200'],
    [503, 'busy', 'HTTP: status 503'],
    [404, 'not found', 'answered 404: is this the base URL of a Prometheus server?'],
    [404, '{"error":"no route"}', 'answered 404: is this the base URL of a Prometheus server?'],
    [200, '{"status":"success"}', 'does not answer like Prometheus'],
    [
      200,
      '{"status":"success","data":{"resultType":"scalar","result":[1,"1"]}}',
      'does not answer like Prometheus',
    ],
    [
      422,
      '{"status":"error","errorType":"execution","error":"too many samples"}',
      'execution: too many samples',
    ],
  ])('if Prometheus answers %d %j', async (status, body, problem) => {
    answer = { status, body };
    expect(await run(['--prometheus', `http://${address}/prefix/?token=s3cret`])).toEqual({
      code: 1,
      out: '',
      err: `http://ADDRESS/prefix/: ${problem}\n`,
    });
  });

  test('if Prometheus does not run', async () => {
    const closed = await closedAddress();
    expect(await run(['--prometheus', `http://${closed}`])).toEqual({
      code: 1,
      out: '',
      err: `http://${closed}: connection refused (ECONNREFUSED)\n`,
    });
  });
});

async function closedAddress(): Promise<string> {
  const other = createServer();
  other.listen(0, '127.0.0.1');
  await once(other, 'listening');
  const { port } = other.address() as AddressInfo;
  other.close();
  await once(other, 'close');
  return `127.0.0.1:${port}`;
}

describe('rollout', () => {
  test('prints the report of the service as it is with --json, and escapes what a terminal would obey', async () => {
    const report = reportOf({ failingReloads: [{ source: 'config', problems: ['\u001b[2Jx'] }] });
    answer = { status: 200, body: JSON.stringify(report) };
    const { code, out } = await run(['--json'], { APPROOV_ADMIN_LISTEN: address });
    expect(code).toBe(5);
    expect(JSON.parse(out)).toEqual(
      JSON.parse(
        JSON.stringify(reportOf({ failingReloads: [{ source: 'config', problems: ['\\u001b[2Jx'] }] })),
      ),
    );
  });

  test('suggests the policy that may be meant', async () => {
    answer = { status: 200, body: JSON.stringify(reportOf()) };
    const { code, err } = await run(['--policy', 'defualt'], { APPROOV_ADMIN_LISTEN: address });
    expect({ code, err }).toEqual({
      code: 2,
      err: 'approov-ext-authz: --policy: no such policy; did you mean default? (see approov-ext-authz rollout --help)\n',
    });
  });
});
