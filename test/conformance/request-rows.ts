/** What Envoy puts into a CheckRequest. */
import { createHash, randomUUID } from 'node:crypto';
import { status } from '@grpc/grpc-js';
import { expect } from 'vitest';
import { accessLogOf, type Sent, send } from '../support/envoy.ts';
import { freshToken } from '../support/token.ts';
import type { CheckRequestJson, HttpRequestJson, SeenCheck } from './altering-proxy.ts';
import type { Row } from './rows.ts';
import { uniquePath } from './traffic.ts';
import type { Variant, World } from './world.ts';

type Line = readonly [name: string, value: string];

/** Sends a request. @returns the calls of Check that it caused. */
async function checksOf(world: World, sent: Sent, variant?: Variant): Promise<readonly SeenCheck[]> {
  const before = world.proxy.seen.length;
  await send(await world.envoy(variant), sent);
  return world.proxy.seen.slice(before);
}

async function httpOf(world: World, sent: Sent, variant?: Variant): Promise<HttpRequestJson> {
  const [check] = await checksOf(world, sent, variant);
  if (check === undefined) throw new Error('Envoy did not call the service');
  return check.request.attributes.request.http;
}

async function headersOf(
  world: World,
  sent: Sent,
  variant?: Variant,
): Promise<readonly (readonly [string, Buffer])[]> {
  const { header_map: map } = await httpOf(world, sent, variant);
  return (map?.headers ?? []).map(({ key, raw_value: value }) => [key, value]);
}

/** A CheckRequest with other values in its `http`. */
const withHttp =
  (change: (http: HttpRequestJson) => object) =>
  (request: CheckRequestJson): object => {
    const { attributes } = request;
    const { http } = attributes.request;
    return {
      attributes: { ...attributes, request: { ...attributes.request, http: { ...http, ...change(http) } } },
    };
  };

const withHeaders = (change: (headers: [string, Buffer][]) => [string, Buffer][]) =>
  withHttp(({ header_map: map }) => ({
    header_map: {
      headers: change((map?.headers ?? []).map(({ key, raw_value: value }) => [key, value])).map(
        ([key, raw_value]) => ({ key, raw_value }),
      ),
    },
  }));

export const REQUEST_ROWS: readonly Row[] = [
  {
    behaviour: 'With `encode_raw_headers`, each line of a repeated header is an entry of its own.',
    otherwise: 'The service could not see that there are two tokens.',
    async check(world) {
      const lines: Line[] = [
        ['approov-token', 'a'],
        ['approov-token', 'b'],
      ];
      const headers = await headersOf(world, { headers: lines });
      expect(headers.filter(([name]) => name === 'approov-token')).toEqual([
        ['approov-token', Buffer.from('a')],
        ['approov-token', Buffer.from('b')],
      ]);
    },
    broken: { request: withHeaders((headers) => [...new Map(headers)]) },
  },
  {
    behaviour: 'Bytes of a header that are not UTF-8 arrive as they were sent.',
    otherwise: 'A token bound to such a header would be refused.',
    async check({ envoy }) {
      const authorization = 'Bearer caf\u00e9';
      const pay = createHash('sha256').update(authorization, 'latin1').digest('base64');
      const headers: Line[] = [
        ['approov-token', freshToken({ pay })],
        ['authorization', authorization],
      ];
      expect((await send(await envoy(), { path: uniquePath(), headers })).status).toBe(200);
    },
    broken: {
      request: withHeaders((headers) =>
        headers.map(([name, value]) => [name, Buffer.from(value.toString('utf8'), 'utf8')]),
      ),
    },
  },
  {
    behaviour: 'Only the `allowed_headers` are sent.',
    otherwise: 'Cookies and other secrets would reach the service.',
    async check(world) {
      const headers = await headersOf(world, {
        headers: [
          ['cookie', 'secret'],
          ['user-agent', 'app'],
        ],
      });
      expect(headers.map(([name]) => name).sort()).toEqual([
        'user-agent',
        'x-envoy-external-address',
        'x-request-id',
      ]);
    },
    broken: { request: withHeaders((headers) => [...headers, ['cookie', Buffer.from('secret')]]) },
  },
  {
    behaviour:
      'Method, host, and the path after normalisation with its query are those that the upstream gets.',
    otherwise: 'The policy of a different path could be applied.',
    async check(world) {
      const headers: Line[] = [['approov-token', freshToken()]];
      const before = world.proxy.seen.length;
      const answer = await send(await world.envoy(), { method: 'PUT', path: '/a/../b//c?d=%2Fe', headers });
      const { method, path, host } =
        world.proxy.seen[before]?.request.attributes.request.http ?? ({} as Partial<HttpRequestJson>);
      expect([method, path, host]).toEqual(['PUT', '/b/c?d=%2Fe', 'api.example.com']);
      expect([answer.upstream?.method, answer.upstream?.path]).toEqual([method, path]);
    },
    broken: { request: withHttp(() => ({ path: '/b/c' })) },
  },
  {
    behaviour: 'A path with an escaped slash or backslash is refused before the service is asked.',
    otherwise: 'The service and the upstream could read different paths.',
    async check(world) {
      const paths = ['%2F', '%5C'].map((slash) => `/${randomUUID()}${slash}b`);
      const headers: Line[] = [['approov-token', freshToken()]];
      for (const path of paths) expect(await checksOf(world, { path, headers })).toEqual([]);
    },
    broken: { variant: 'keepEscapedSlashes' },
  },
  {
    behaviour: '`http.id` differs between requests and is the same when Envoy retries.',
    otherwise: 'Each retry would count as a replay, or replays as retries.',
    async check(world) {
      const retried = await checksOf(world, { path: uniquePath() });
      const other = await checksOf(world, { path: uniquePath() });
      const ids = [...retried, ...other].map(({ request }) => request.attributes.request.http.id);
      expect(ids).toHaveLength(4);
      expect(ids[0]).toMatch(/^\d+$/);
      expect([ids[0] === ids[1], ids[2] === ids[3], ids[0] === ids[2]]).toEqual([true, true, false]);
    },
    given: { failure: { code: status.UNAVAILABLE, times: 1 } },
    broken: {
      failure: { code: status.UNAVAILABLE, times: 1 },
      request: withHttp(() => ({ id: '1' })),
    },
  },
  {
    behaviour:
      'At the edge, `x-envoy-external-address` is the address of the connection, whatever the client sent.',
    otherwise: 'Logs would name any address that an attacker likes.',
    async check(world) {
      const forged: Line[] = [
        ['x-envoy-external-address', '192.0.2.1'],
        ['x-forwarded-for', '192.0.2.1'],
      ];
      const headers = await headersOf(world, { headers: forged });
      expect(headers.filter(([name]) => name === 'x-envoy-external-address')).toEqual([
        ['x-envoy-external-address', Buffer.from('127.0.0.1')],
      ]);
    },
    broken: {
      request: withHeaders((headers) => [...headers, ['x-envoy-external-address', Buffer.from('192.0.2.1')]]),
    },
  },
  {
    behaviour: '`context_extensions` of a route reach the service.',
    otherwise: 'A route could not choose its policy.',
    async check({ envoy }) {
      const path = `/search/${randomUUID()}`;
      await send(await envoy(), { path });
      expect(await accessLogOf(await envoy(), path)).toMatchObject({ approov_policy: 'limited' });
    },
    broken: {
      request: ({ attributes }) => ({ attributes: { ...attributes, context_extensions: {} } }),
    },
  },
  {
    behaviour: 'A route on which ext_authz is disabled is not checked.',
    otherwise: 'Public files would need a token.',
    async check(world) {
      const before = world.proxy.seen.length;
      const answer = await send(await world.envoy(), { path: '/public/logo.png' });
      const checked = await send(await world.envoy(), { path: uniquePath() });
      expect([answer.status, checked.status, world.proxy.seen.length - before]).toEqual([200, 401, 1]);
    },
    broken: { response: () => ({ status: { code: 0 } }) },
  },
  {
    behaviour: 'With `with_request_body` and `pack_as_bytes`, the body arrives byte for byte.',
    otherwise: 'No content digest could be verified.',
    async check(world) {
      const http = await httpOf(world, { method: 'POST', body: Buffer.from([0, 0xff, 1]) }, 'body');
      expect(http.raw_body).toEqual(Buffer.from([0, 0xff, 1]));
    },
    broken: { request: withHttp(() => ({ raw_body: Buffer.from([0, 1]) })) },
  },
  {
    behaviour: 'A truncated body is marked by `x-envoy-auth-partial-body: true`, and a whole one by `false`.',
    otherwise: 'A truncated body would look like a tampered one.',
    async check(world) {
      const marks = [];
      for (const body of ['123', '0123456789']) {
        const headers = await headersOf(world, { method: 'POST', body: Buffer.from(body) }, 'body');
        marks.push(new Map(headers).get('x-envoy-auth-partial-body')?.toString());
      }
      expect(marks).toEqual(['false', 'true']);
    },
    broken: { request: withHeaders((headers) => headers.filter(([name]) => !name.includes('partial'))) },
  },
  {
    behaviour: 'Each call of Check has a `grpc-timeout`.',
    otherwise: 'The service would keep working on checks that Envoy has given up on.',
    async check(world) {
      const [check] = await checksOf(world, { path: uniquePath() });
      expect(check?.timeoutMs).toBeGreaterThan(0);
      expect(check?.timeoutMs).toBeLessThanOrEqual(20_000);
    },
    broken: { ignoresTimeout: true },
  },
];
