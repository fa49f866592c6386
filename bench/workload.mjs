/** Builds what is sent: the requests of an app, as Envoy describes them in a Check, and as the app sends them. */
import { fileURLToPath } from 'node:url';
import { loadSync } from '@grpc/proto-loader';
import { allowed } from './peers/answers.mjs';
import { mint, mintBound, mintForSigning, SECRETS, signatureHeaders } from './tokens.mjs';

const DISTINCT_TOKENS = 5000;
const AUTHORIZATION = `Bearer ${'eyJhbGciOiJSUzI1NiJ9.'.repeat(8)}`;
const HOST = 'api.example.com';
const PATH = '/v1/shapes?size=large';

/** The headers of an app's request, besides its token. */
const APP_HEADERS = {
  accept: 'application/json',
  'accept-encoding': 'gzip, deflate, br',
  'accept-language': 'en-GB,en;q=0.9',
  authorization: AUTHORIZATION,
  'cache-control': 'no-cache',
  'content-type': 'application/json',
  cookie: `session=${'k3Jx9wQz'.repeat(10)}`,
  'user-agent': 'Shapes/4.2 (Android 16; Pixel 9) okhttp/5.1.0',
  'x-api-key': '4f1c0d1be7a84fa8b7b1d8ac0a3f3a55',
  'x-app-version': '4.2.0',
};

/** What Envoy adds. */
const ENVOY_HEADERS = {
  ':authority': HOST,
  ':method': 'GET',
  ':path': PATH,
  ':scheme': 'https',
  'x-b3-sampled': '1',
  'x-envoy-external-address': '203.0.113.7',
  'x-forwarded-for': '203.0.113.7',
  'x-forwarded-proto': 'https',
  'x-request-id': '0f9f6f0e-7c1c-4a43-9d3b-a2a86bf46f1b',
};

/**
 * @typedef {object} Message
 * @property {Readonly<Record<string, string>>} headers besides APP_HEADERS
 * @property {'allowed' | 'denied'} expected
 */

/** @param {string} token @param {'allowed' | 'denied'} expected @returns {Message} */
const withToken = (token, expected) => ({ headers: { 'approov-token': token }, expected });

/** @param {import('./tokens.mjs').SignatureLabel} label @returns {Message[]} */
function signedBy(label) {
  const headers = { ...APP_HEADERS, 'approov-token': mintForSigning() };
  const signature = signatureHeaders(headers, label, `https://${HOST}${PATH}`);
  return [{ headers: { ...headers, ...signature }, expected: 'allowed' }];
}

/**
 * The messages of a scenario, sent in turn.
 * @type {Readonly<Record<string, () => Message[]>>}
 */
const MESSAGES = {
  hot: () => [withToken(mint({}), 'allowed')],
  distinct: () => Array.from({ length: DISTINCT_TOKENS }, () => withToken(mint({}), 'allowed')),
  refused: () => [withToken(mint({}), 'allowed'), withToken(mint({}, SECRETS.other), 'denied')],
  'all-refused': () => [withToken(mint({}, SECRETS.other), 'denied')],
  bound: () => [withToken(mintBound(AUTHORIZATION), 'allowed')],
  'signed-install': () => signedBy('install'),
  'signed-account': () => signedBy('account'),
};

/**
 * The Checks of a scenario, with the length prefix of gRPC.
 * @param {string} name
 * @returns {import('./load.mjs').Request[]}
 */
export function checksOf(name) {
  return messagesOf(name).map(({ headers, expected }) => ({ bytes: checkMessage(headers), expected }));
}

/**
 * The same requests in HTTP/1.1.
 * @param {string} name
 * @returns {import('./load.mjs').Request[]}
 */
export function httpRequestsOf(name) {
  return messagesOf(name).map(({ headers, expected }) => {
    const lines = Object.entries({ host: HOST, ...APP_HEADERS, ...headers }).map(
      ([key, value]) => `${key}: ${value}`,
    );
    return { bytes: Buffer.from([`GET ${PATH} HTTP/1.1`, ...lines, '', ''].join('\r\n')), expected };
  });
}

/** @param {string} name */
function messagesOf(name) {
  const messages = MESSAGES[name];
  if (messages === undefined) throw new RangeError(`no messages of ${name}`);
  return messages();
}

const service = loadSync('envoy/service/auth/v3/external_auth.proto', {
  includeDirs: [fileURLToPath(new URL('../proto', import.meta.url))],
  keepCase: true,
})['envoy.service.auth.v3.Authorization'];

/** What a server answers that allows a token: the headers and metadata of the service. */
export function answerBytes() {
  const [, payload = ''] = mint({}).split('.');
  const claims = JSON.parse(Buffer.from(payload, 'base64url').toString());
  return /** @type {any} */ (service)['Check'].responseSerialize(allowed(claims));
}

/** @param {Readonly<Record<string, string>>} headers */
function checkMessage(headers) {
  const message = /** @type {any} */ (service)['Check'].requestSerialize({
    attributes: {
      source: { address: { socket_address: { address: '203.0.113.7', port_value: 40312 } } },
      request: {
        http: {
          id: '8154263507911325847',
          method: 'GET',
          path: PATH,
          host: HOST,
          headers: { ...ENVOY_HEADERS, ...APP_HEADERS, ...headers },
        },
      },
    },
  });
  const prefix = Buffer.alloc(5);
  prefix.writeUInt32BE(message.length, 1);
  return Buffer.concat([prefix, message]);
}
