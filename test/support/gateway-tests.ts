/** Tests that every gateway must pass with the samples of its platform. */
import { createHash } from 'node:crypto';
import { expect, test } from 'vitest';
import { RESULT_HEADERS } from '../../src/authz/result-header.ts';
import type { Mode } from '../../src/authz/verdict.ts';
import { type Answer, approovHeaders, poll, send, type Upstream } from './gateway-traffic.ts';
import type { RunningService } from './process.ts';
import { startConfiguredService } from './sample-service.ts';
import { freshToken } from './token.ts';

/** Requests per minute that rate-limit.yaml allows. */
const LIMIT = 20;
const FORGED = Object.fromEntries(RESULT_HEADERS.map((name) => [name, 'forged']));
const VERIFIED = { 'x-approov-verdict': 'verified', 'x-approov-action': 'allow' };

export interface RestartableService {
  /** host:port of its gRPC listener, the same after each restart. */
  readonly grpc: string;
  restart(mode: Mode): Promise<void>;
  kill(): Promise<void>;
}

/** Starts the service with the configuration of a folder of deploy/, in `enforce`. */
export async function startRestartableService(folder: string, address: string): Promise<RestartableService> {
  const start = (at: string, mode: Mode): Promise<RunningService> =>
    startConfiguredService(folder, at, { APPROOV_MODE: mode });
  let service = await start(address, 'enforce');
  const { grpc } = service;
  return {
    grpc,
    async restart(mode) {
      await service.kill();
      service = await start(grpc, mode);
    },
    kill: () => service.kill(),
  };
}

/** What the suite's `beforeAll` starts. */
export interface GatewayUnderTest {
  readonly port: number;
  readonly upstream: Upstream;
  readonly service: RestartableService;
}

/** Sends requests with a valid token until the status is the expected one. */
export function sendUntil(port: number, status: number): Promise<Answer> {
  const headers = { 'approov-token': freshToken() };
  return poll(
    () => send(port, { headers }),
    (answer) => answer.status === status,
  );
}

/**
 * Registers the tests in the current suite.
 * @param gateway called inside tests.
 * @param exemptMethods with which /healthz needs no token.
 */
export function testGateway(gateway: () => GatewayUnderTest, exemptMethods: readonly string[]): void {
  const sendTo: SendTo = (message) => send(gateway().port, message);
  testAccess(gateway, sendTo, exemptMethods);
  testModes(gateway, sendTo);
}

type SendTo = (message?: Parameters<typeof send>[1]) => Promise<Answer>;

function testAccess(gateway: () => GatewayUnderTest, sendTo: SendTo, exemptMethods: readonly string[]): void {
  test('a request without a token is refused and does not reach the upstream', async () => {
    const { upstream } = gateway();
    const before = upstream.count();
    const { status, headers } = await sendTo({ path: '/orders' });
    expect(status).toBe(401);
    expect(headers['www-authenticate']).toBe('Approov');
    expect(upstream.count()).toBe(before);
  });

  test('a request with a valid token reaches the upstream, marked as verified', async () => {
    const { status, arrived } = await sendTo({ headers: { 'approov-token': freshToken() } });
    expect(status).toBe(200);
    expect(approovHeaders(arrived)).toEqual(VERIFIED);
  });

  test('a token bound to an Authorization header is refused with another one', async () => {
    const token = freshToken({ pay: createHash('sha256').update('Bearer alice').digest('base64') });
    const statusAs = async (authorization: string) =>
      (await sendTo({ headers: { 'approov-token': token, authorization } })).status;
    expect(await statusAs('Bearer alice')).toBe(200);
    expect(await statusAs('Bearer mallory')).toBe(401);
  });

  test('exactly /healthz needs no token, and only with the exempt methods', async () => {
    for (const method of exemptMethods) {
      expect([method, (await sendTo({ path: '/healthz', method })).status]).toEqual([method, 200]);
    }
    expect(approovHeaders((await sendTo({ path: '/healthz' })).arrived)).toEqual({});
    expect((await sendTo({ path: '/healthz', method: 'POST' })).status).toBe(401);
    expect((await sendTo({ path: '/healthz/x' })).status).toBe(401);
    expect((await sendTo({ path: '/healthz/../orders' })).status).toBe(401);
  });

  test('a CORS preflight needs no token, but any other OPTIONS request does', async () => {
    const preflight = { origin: 'https://app.example.com', 'access-control-request-method': 'POST' };
    expect((await sendTo({ method: 'OPTIONS', headers: preflight })).status).toBe(200);
    expect((await sendTo({ method: 'OPTIONS' })).status).toBe(401);
  });

  test("a client's own x-approov-… headers never reach the upstream, checked or not", async () => {
    const unchecked = await sendTo({ path: '/healthz', headers: FORGED });
    expect(unchecked.status).toBe(200);
    expect(approovHeaders(unchecked.arrived)).toEqual({});
    const checked = await sendTo({ headers: { ...FORGED, 'approov-token': freshToken() } });
    expect(approovHeaders(checked.arrived)).toEqual(VERIFIED);
  });

  test('/search gets the policy in limit mode: a request without a token is allowed and marked', async () => {
    const { status, arrived } = await sendTo({ path: '/search' });
    expect(status).toBe(200);
    expect(approovHeaders(arrived)).toEqual({
      'x-approov-verdict': 'unverified',
      'x-approov-action': 'limit',
      'x-approov-reason': 'missing_approov_token',
    });
  });
}

function testModes(gateway: () => GatewayUnderTest, sendTo: SendTo): void {
  test('requests marked limit get 429 after a burst, while verified ones pass', async () => {
    const statuses: number[] = [];
    while (!statuses.includes(429) && statuses.length < 3 * LIMIT) {
      statuses.push((await sendTo({ path: '/search' })).status);
    }
    expect(statuses.filter((status) => status === 200).length).toBeGreaterThanOrEqual(LIMIT - 1);
    expect(statuses.at(-1)).toBe(429);
    const verified = { 'approov-token': freshToken() };
    expect((await sendTo({ path: '/search', headers: verified })).status).toBe(200);
    expect((await sendTo({ path: '/healthz' })).status).toBe(200);
    const forged = { 'x-approov-action': 'allow' };
    expect((await sendTo({ path: '/search', headers: forged })).status).toBe(429);
  });

  test('in observe mode a request without a token is allowed, and marked with the reason', async () => {
    const { service } = gateway();
    await service.restart('observe');
    const { status, arrived } = await poll(
      () => sendTo(),
      (answer) => answer.status !== 503,
    );
    expect(status).toBe(200);
    expect(approovHeaders(arrived)).toEqual({
      'x-approov-verdict': 'unverified',
      'x-approov-action': 'allow',
      'x-approov-reason': 'missing_approov_token',
    });
    await service.restart('enforce');
  });

  test('while the service is down, checked requests get 503 and unchecked paths still work', async () => {
    const { service, port } = gateway();
    await service.kill();
    expect((await sendTo({ headers: { 'approov-token': freshToken() } })).status).toBe(503);
    expect((await sendTo({ path: '/healthz' })).status).toBe(200);
    await service.restart('enforce');
    expect((await sendUntil(port, 200)).status).toBe(200);
  });
}
