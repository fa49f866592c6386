/** Sends checks of every outcome at a steady rate, and compares each answer with the expected one. */
import { createHash, createHmac, randomBytes } from 'node:crypto';
import { fileURLToPath } from 'node:url';
import { Client, credentials, Metadata } from '@grpc/grpc-js';
import { loadSync } from '@grpc/proto-loader';

/** Node's cluster gives each worker every second connection. */
const CONNECTIONS = 4;
const TICK_MS = 5;
/** If the service stalls, more calls wait for their turn. */
const MAX_IN_FLIGHT = 500;
const CALL_TIMEOUT_MS = 10_000;

const CHECK = /** @type {any} */ (
  loadSync('envoy/service/auth/v3/external_auth.proto', {
    includeDirs: [fileURLToPath(new URL('../../proto', import.meta.url))],
    keepCase: true,
  })['envoy.service.auth.v3.Authorization']
)['Check'];

/**
 * @typedef {object} Sent
 * @property {Buffer} message
 * @property {string} expected reason and action
 *
 * @typedef {ReturnType<typeof startTraffic>} Traffic
 */

/**
 * @param {import('./subject.mjs').Subject} subject
 * @param {number} rate checks a second
 */
export function startTraffic(subject, rate) {
  const clients = Array.from(
    { length: CONNECTIONS },
    () => new Client(subject.grpc, credentials.createInsecure(), { 'grpc.use_local_subchannel_pool': 1 }),
  );
  const kinds = createKinds();
  /** @type {Record<string, number>} */
  const reasons = {};
  /** @type {Record<string, number>} */
  const failures = {};
  /** @type {string[]} */
  const examples = [];
  const counts = { answered: 0, wrong: 0, failed: 0 };
  let sent = 0;
  let inFlight = 0;
  const startMs = performance.now();

  function send() {
    const { message, expected } = kinds.next();
    const client = /** @type {Client} */ (clients[sent % CONNECTIONS]);
    sent++;
    inFlight++;
    client.makeUnaryRequest(
      CHECK.path,
      (/** @type {Buffer} */ bytes) => bytes,
      CHECK.responseDeserialize,
      message,
      new Metadata(),
      { deadline: Date.now() + CALL_TIMEOUT_MS },
      (error, response) => {
        inFlight--;
        if (error !== null) {
          counts.failed++;
          failures[error.code] = (failures[error.code] ?? 0) + 1;
          return;
        }
        const seen = outcomeOf(response);
        counts.answered++;
        reasons[seen] = (reasons[seen] ?? 0) + 1;
        if (seen === expected) return;
        counts.wrong++;
        if (examples.length < 20)
          examples.push(`${new Date().toISOString()} expected ${expected}, got ${seen}`);
      },
    );
  }

  const timer = setInterval(() => {
    const due = ((performance.now() - startMs) / 1000) * rate;
    while (sent < due && inFlight < MAX_IN_FLIGHT) send();
  }, TICK_MS);

  return {
    /** Signs tokens with this secret from now on. @param {Buffer} secret */
    signWith: (secret) => kinds.signWith(secret),
    /** Tokens of this secret must be refused from now on. @param {Buffer} secret */
    retire: (secret) => kinds.retire(secret),
    async stop() {
      clearInterval(timer);
      while (inFlight > 0) await new Promise((resolve) => setTimeout(resolve, TICK_MS));
      for (const client of clients) client.close();
      return { ...counts, failures, reasons, examples };
    },
  };
}

/** @param {any} response a CheckResponse */
function outcomeOf(response) {
  const { fields = {} } = response?.dynamic_metadata ?? {};
  return `${fields['approov_reason']?.stringValue} ${fields['approov_action']?.stringValue}`;
}

/** Chooses what is sent next, in the shares of {@link SHARES}. */
function createKinds() {
  /** @type {Buffer | undefined} */
  let secret;
  /** @type {Buffer | undefined} */
  let retired;
  let hot = '';
  let index = 0;

  const AUTHORIZATION = 'Bearer soak';
  const pay = createHash('sha256').update(AUTHORIZATION).digest('base64');
  const valid = (claims = {}) => mint(secret, { exp: inSeconds(3600), did: 'device', ...claims });

  /** @type {Record<string, () => Sent>} */
  const build = {
    hot: () => expectation('ok allow', { 'approov-token': hot }),
    distinct: () => expectation('ok allow', { 'approov-token': valid({ did: `device-${index}` }) }),
    bound: () => expectation('ok allow', { 'approov-token': valid({ pay }), authorization: AUTHORIZATION }),
    binding: () =>
      expectation('binding_mismatch deny', { 'approov-token': valid({ pay }), authorization: 'Bearer x' }),
    forged: () => expectation('invalid_token_signature deny', { 'approov-token': forge(hot) }),
    expired: () => expectation('token_expired deny', { 'approov-token': valid({ exp: inSeconds(-60) }) }),
    missing: () => expectation('missing_approov_token deny', {}),
    status: () => expectation('missing_approov_token deny', { 'approov-token': 'NO_NETWORK' }),
    duplicate: () => expectation('duplicate_approov_token deny', { 'approov-token': `${hot},${hot}` }),
    malformed: () => expectation('invalid_token_format deny', { 'approov-token': 'a.b' }),
    limited: () => expectation('missing_approov_token limit', {}, { approov_policy: 'limited' }),
    watched: () => expectation('missing_approov_token allow', {}, { approov_policy: 'watched' }),
    unknown: () => expectation('unknown_policy deny', { 'approov-token': hot }, { approov_policy: 'none' }),
    retired: () =>
      retired === undefined
        ? (build['missing']?.() ?? expectation('missing_approov_token deny', {}))
        : expectation('invalid_token_signature deny', {
            'approov-token': mint(retired, { exp: inSeconds(3600) }),
          }),
    unreadable: () => ({ message: Buffer.from([0xff]), expected: 'internal_error deny' }),
  };
  const order = Object.entries(SHARES).flatMap(([kind, share]) => Array.from({ length: share }, () => kind));
  shuffle(order);

  return {
    next() {
      const kind = order[index++ % order.length] ?? 'hot';
      return /** @type {() => Sent} */ (build[kind])();
    },
    /** @param {Buffer} next */
    signWith(next) {
      secret = next;
      hot = valid();
    },
    /** @param {Buffer} last */
    retire(last) {
      retired = last;
    },
  };
}

/** Of a hundred checks. */
const SHARES = {
  hot: 40,
  distinct: 20,
  bound: 9,
  binding: 4,
  forged: 8,
  expired: 4,
  missing: 3,
  status: 2,
  duplicate: 2,
  malformed: 2,
  limited: 1,
  watched: 1,
  unknown: 1,
  retired: 2,
  unreadable: 1,
};

/**
 * @param {string} expected
 * @param {Record<string, string>} headers
 * @param {Record<string, string>} extensions
 * @returns {Sent}
 */
function expectation(expected, headers, extensions = {}) {
  const http = { method: 'GET', path: '/orders', host: 'api.example.com', headers };
  const message = CHECK.requestSerialize({
    attributes: { request: { http }, context_extensions: extensions },
  });
  return { message, expected };
}

/**
 * @param {Buffer | undefined} secret
 * @param {Readonly<Record<string, unknown>>} claims
 */
function mint(secret, claims) {
  if (secret === undefined) throw new Error('no secret to sign with');
  const signingInput = [{ alg: 'HS256', typ: 'JWT' }, claims]
    .map((part) => Buffer.from(JSON.stringify(part)).toString('base64url'))
    .join('.');
  return `${signingInput}.${createHmac('sha256', secret).update(signingInput).digest('base64url')}`;
}

/** The same token with a signature of other bytes. @param {string} token */
function forge(token) {
  return `${token.slice(0, token.lastIndexOf('.'))}.${randomBytes(32).toString('base64url')}`;
}

/** @param {number} seconds */
function inSeconds(seconds) {
  return Math.floor(Date.now() / 1000) + seconds;
}

/** @param {string[]} list */
function shuffle(list) {
  list.sort(() => Math.random() - 0.5);
}
