/** What Envoy does with an answer of the service. */
import { randomBytes } from 'node:crypto';
import { status } from '@grpc/grpc-js';
import { expect } from 'vitest';
import { accessLogOf, open, type Sent, send } from '../support/envoy.ts';
import type { ResponseJson } from '../support/grpc-client.ts';
import { freshToken } from '../support/token.ts';
import type { Row } from './rows.ts';
import { callGrpc, uniquePath } from './traffic.ts';

/** More than the bucket of the sample holds. */
const BURST = 30;

const allowed = ({ dynamic_metadata }: ResponseJson) => ({ status: { code: 0 }, dynamic_metadata });
const withoutMetadata = ({ dynamic_metadata: _, ...rest }: ResponseJson) => rest;

export const ANSWER_ROWS: readonly Row[] = [
  {
    behaviour: 'A denial reaches the client with the status, headers and body of the service.',
    otherwise: 'An app could not tell a refused token from a failing proxy.',
    async check({ envoy }) {
      const { status: code, headers, body } = await send(await envoy());
      const { 'www-authenticate': challenge, 'cache-control': caching } = headers;
      expect([code, challenge, caching, body]).toEqual([401, 'Approov', 'no-store', '{}']);
    },
    broken: {
      response: ({ denied_response: denied, ...rest }) => ({
        ...rest,
        denied_response: { ...denied, headers: [] },
      }),
    },
  },
  {
    behaviour: 'A denied request does not reach the upstream.',
    otherwise: 'Nothing would be protected.',
    async check({ envoy, upstream }) {
      const path = uniquePath();
      await send(await envoy(), { path });
      expect(upstream.seen.filter((request) => request.path === path)).toEqual([]);
    },
    broken: { response: allowed },
  },
  {
    behaviour: 'A denial with status 503 is a denial under `failure_mode_allow: true` as well.',
    otherwise: 'A fault inside the service would allow requests.',
    async check({ envoy }) {
      expect((await send(await envoy('failOpen'), { path: uniquePath() })).status).toBe(503);
    },
    given: { isUnreadable: true },
    broken: { failure: { code: status.INTERNAL, times: Number.POSITIVE_INFINITY } },
  },
  {
    behaviour: 'A gRPC client gets a denial as `grpc-status` 16 (UNAUTHENTICATED).',
    otherwise: 'gRPC clients would retry, or report an internal error.',
    async check({ envoy }) {
      expect((await callGrpc(await envoy())).grpcStatus).toBe('16');
    },
    broken: {
      response: ({ denied_response: denied, ...rest }) => ({
        ...rest,
        denied_response: { ...denied, status: { code: 'Forbidden' } },
      }),
    },
  },
  {
    behaviour: 'A WebSocket opens only if its upgrade request is allowed.',
    otherwise: 'Streams would need no token.',
    async check({ envoy }) {
      const upgrade: Sent['headers'] = [
        ['connection', 'upgrade'],
        ['upgrade', 'websocket'],
        ['sec-websocket-key', randomBytes(16).toString('base64')],
        ['sec-websocket-version', '13'],
      ];
      const allow = await open(await envoy(), { headers: [...upgrade, ['approov-token', freshToken()]] });
      allow.socket?.destroy();
      const deny = await open(await envoy(), { headers: upgrade });
      deny.socket?.destroy();
      expect([allow.status, deny.status]).toEqual([101, 401]);
    },
    broken: { response: allowed },
  },
  {
    behaviour: 'A denial for a web page has the CORS headers of the route.',
    otherwise: 'Browsers would hide the denial from the page, which would report a network error.',
    async check({ envoy }) {
      const headers = [['origin', 'https://app.example.com']] as const;
      const { status: code, headers: answered } = await send(await envoy(), { path: '/web', headers });
      expect([code, answered['access-control-allow-origin']]).toEqual([401, 'https://app.example.com']);
    },
    broken: { response: allowed },
  },
  {
    behaviour: 'Dynamic metadata of a denial is in the access log.',
    otherwise: 'Envoy’s log would not say why a request was refused.',
    async check({ envoy }) {
      const path = uniquePath();
      await send(await envoy(), { path });
      expect(await accessLogOf(await envoy(), path)).toMatchObject({
        approov_verdict: 'unverified',
        approov_reason: 'missing_approov_token',
      });
    },
    broken: { response: withoutMetadata },
  },
  {
    behaviour: 'Dynamic metadata of an allowed request is in the access log.',
    otherwise: 'Envoy’s log would not say who was verified.',
    async check({ envoy }) {
      const path = uniquePath();
      await send(await envoy(), { path, headers: [['approov-token', freshToken()]] });
      expect(await accessLogOf(await envoy(), path)).toMatchObject({ approov_verdict: 'verified' });
    },
    broken: { response: withoutMetadata },
  },
  {
    behaviour: 'The local rate limit filter counts requests by `approov_action`.',
    otherwise: 'Mode `limit` would be mode `observe`.',
    async check({ envoy }) {
      const running = await envoy();
      const answers = await Promise.all(
        Array.from({ length: BURST }, () => send(running, { path: '/search' })),
      );
      expect(answers.map(({ status: code }) => code)).toContain(429);
    },
    broken: { response: withoutMetadata },
  },
  {
    behaviour: 'An RBAC filter matches requests by `approov_verdict`.',
    otherwise: 'Routes could not require a verified request in mode `observe`.',
    async check({ envoy }) {
      const running = await envoy('denyByMetadata');
      const headers = [['approov-token', freshToken()]] as const;
      const statuses = [
        await send(running, { path: '/search' }),
        await send(running, { path: '/search', headers }),
      ];
      expect(statuses.map(({ status: code }) => code)).toEqual([403, 200]);
    },
    broken: { response: withoutMetadata },
  },
  {
    behaviour: 'With `validate_mutations`, an answer with an invalid header becomes a 500, and ours do not.',
    otherwise: 'A malformed header could reach the upstream.',
    async check({ envoy }) {
      const headers = [['approov-token', freshToken({ did: 'device' })]] as const;
      expect((await send(await envoy(), { path: uniquePath(), headers })).status).toBe(200);
    },
    broken: {
      response: (response) => ({
        ...response,
        ok_response: { headers: [{ header: { key: 'a b', value: 'c' }, append: { value: false } }] },
      }),
    },
  },
];
