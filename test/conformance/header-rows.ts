/** How Envoy applies the result headers: a client must never be able to set one. */
import { expect } from 'vitest';
import { RESULT_HEADER_ALIASES, RESULT_HEADERS } from '../../src/authz/result-header.ts';
import { linesWith, send } from '../support/envoy.ts';
import type { ResponseJson } from '../support/grpc-client.ts';
import { freshToken } from '../support/token.ts';
import type { Row } from './rows.ts';
import { uniquePath } from './traffic.ts';
import type { Variant, World } from './world.ts';

type Line = readonly [name: string, value: string];

const SET: Readonly<Record<string, string[]>> = {
  'x-approov-verdict': ['verified'],
  'x-approov-action': ['allow'],
};

/** The result headers that reach the upstream of a verified request on which the client sets others. */
async function resultHeaders(world: World, variant: Variant, forged: readonly Line[]) {
  const headers = [['approov-token', freshToken()] as const, ...forged];
  const answer = await send(await world.envoy(variant), { path: uniquePath(), headers });
  expect(answer.status).toBe(200);
  return linesWith(answer.upstream, 'approov');
}

const forge = (names: readonly string[]): Line[] => names.map((name) => [name, 'forged']);

/** An answer whose headers are added to those of the client. */
const appending = ({ ok_response: ok, ...rest }: ResponseJson) => ({
  ...rest,
  ok_response: {
    ...ok,
    headers: ok?.headers.map(({ header }) => ({
      header,
      append: { value: true },
      append_action: 'APPEND_IF_EXISTS_OR_ADD',
    })),
  },
});

const removingNothing = ({ ok_response: ok, ...rest }: ResponseJson) => ({
  ...rest,
  ok_response: { headers: ok?.headers },
});

/** An answer that itself forges a header. */
const forging = ({ ok_response: ok, ...rest }: ResponseJson) => ({
  ...rest,
  ok_response: {
    headers: [
      ...(ok?.headers ?? []),
      { header: { key: 'x-approov-did', value: 'forged' }, append: { value: false } },
    ],
  },
});

export const HEADER_ROWS: readonly Row[] = [
  {
    behaviour: 'A header that the service sets replaces the one that the client sent.',
    otherwise: 'A client could claim to be verified.',
    async check(world) {
      expect(await resultHeaders(world, 'bare', forge(Object.keys(SET)))).toEqual({
        'approov-token': [expect.any(String)],
        ...SET,
      });
    },
    broken: { response: appending },
  },
  {
    behaviour: 'It replaces every line of a header that the client sent twice.',
    otherwise: 'The upstream could read the line of the client.',
    async check(world) {
      const twice = forge(Object.keys(SET));
      expect(await resultHeaders(world, 'bare', [...twice, ...twice])).toMatchObject(SET);
    },
    broken: { response: appending },
  },
  {
    behaviour: 'A header that the service names in `headers_to_remove` is removed, in every line.',
    otherwise: 'A client could set its own device id.',
    async check(world) {
      const twice = forge(RESULT_HEADERS);
      expect(await resultHeaders(world, 'bare', [...twice, ...twice])).toEqual({
        'approov-token': [expect.any(String)],
        ...SET,
      });
    },
    broken: { response: removingNothing },
  },
  {
    behaviour: 'It is removed as well if `allowed_headers` hides it from the service.',
    otherwise: 'Sending fewer headers to the service would make forging possible.',
    async check(world) {
      expect(await resultHeaders(world, 'hiddenHeaders', forge(RESULT_HEADERS))).toEqual({
        'approov-token': [expect.any(String)],
        ...SET,
      });
    },
    broken: { response: removingNothing },
  },
  {
    behaviour: 'Aliases with an underscore are removed by the name that the service saw.',
    otherwise: 'WSGI, CGI and PHP would read x_approov_verdict as x-approov-verdict.',
    async check(world) {
      expect(await resultHeaders(world, 'bare', forge(RESULT_HEADER_ALIASES))).toEqual({
        'approov-token': [expect.any(String)],
        ...SET,
      });
    },
    broken: { response: removingNothing },
  },
  {
    behaviour:
      'The early header mutation of the sample removes forged headers on routes that are not checked.',
    otherwise: 'A client could claim to be verified there.',
    async check(world) {
      const headers = forge([...RESULT_HEADERS, ...RESULT_HEADER_ALIASES]);
      const { upstream } = await send(await world.envoy(), { path: '/public/logo.png', headers });
      expect(linesWith(upstream, 'approov')).toEqual({});
      expect(await resultHeaders(world, 'sample', headers)).toEqual({
        'approov-token': [expect.any(String)],
        ...SET,
      });
    },
    broken: { response: forging },
  },
  {
    behaviour: 'A token that the service removes does not reach the upstream.',
    otherwise: '`forwardToken: false` would have no effect.',
    async check(world) {
      expect(await resultHeaders(world, 'sample', [])).toEqual(SET);
    },
    given: {
      response: ({ ok_response: ok, ...rest }) => ({
        ...rest,
        ok_response: { ...ok, headers_to_remove: [...(ok?.headers_to_remove ?? []), 'approov-token'] },
      }),
    },
    broken: {},
  },
];
