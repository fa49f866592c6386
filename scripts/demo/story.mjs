/** The demo's requests and the answer that each should get, as a table in the order in which they are sent. */

/**
 * A header line, or `@` and the name of a file in `.demo/` with such lines, which curl reads; with `:1` at its end, only
 * the first line.
 * @typedef {string} HeaderLine
 */
/**
 * Signs the request with `mint --sign-request`.
 * @typedef {object} Signing
 * @property {string} file the name of the file that gets the headers
 * @property {string} [key] the name of the file of the installation's key; without it, the key of another installation
 * @property {string} [tokenOf] the name of a file with headers, of which the token is used
 */
/**
 * @typedef {object} DemoRequest
 * @property {string} [method]
 * @property {string} [path] a range such as `[1-30]` stands for that many requests, as it does for curl
 * @property {readonly HeaderLine[]} [headers]
 * @property {string} [body] the name of a file in {@link FILES} after `@`, or text; makes the method POST
 * @property {Signing} [sign]
 */
/**
 * @typedef {object} Row
 * @property {string} words what is sent
 * @property {DemoRequest} request
 * @property {string} expected the answer: a status, and `marked` if the API saw the verdict "unverified"
 * @property {string} reason the service's reason; `not checked` if Envoy did not ask it, `by Envoy` if Envoy
 *   answered, nothing for several requests
 * @property {RegExp} [pattern] matches the expected answer if it is not exactly `expected`
 */
/**
 * @typedef {object} Chapter
 * @property {string} title
 * @property {string} about
 * @property {string} [edit] the mode that is written to the configuration first, while requests run
 * @property {readonly Row[]} rows
 */

const SESSION = 'Bearer alice';
/** More than the size of the token bucket in envoy.yaml. */
const BURST_SIZE = 30;
export const FIRST_MODE = 'observe';

/** The tokens in `.demo/`, with the arguments for `mint`. */
export const TOKENS = {
  valid: ['--expires-in', '1h'],
  expired: ['--expires-in=-1m'],
  forged: ['--expires-in', '1h', '--invalid'],
  alice: ['--expires-in', '1h', '--bind', SESSION],
};

/** Further files in `.demo/`. */
export const FILES = { order: '{"item":1}' };

/** @type {(words: string, expected: string, reason: string, request?: DemoRequest, pattern?: RegExp) => Row} */
const row = (words, expected, reason, request = {}, pattern = undefined) => ({
  words,
  expected,
  reason,
  request,
  ...(pattern && { pattern }),
});

/** @type {readonly Chapter[]} */
export const CHAPTERS = [
  {
    title: 'OBSERVE',
    about: 'allows every request, and marks what enforce would deny',
    rows: [
      row('app: valid token', '200', 'ok', { headers: ['@valid'] }),
      row('script: no token', '200 marked', 'missing_approov_token'),
      row('script: claims "verified"', '200 marked', 'missing_approov_token', {
        headers: ['x-approov-verdict: verified'],
      }),
    ],
  },
  {
    title: 'LIMIT',
    about: 'allows 20 unverified requests a minute from each address',
    edit: 'limit',
    rows: [
      row('script: no token', '200 marked', 'missing_approov_token'),
      row(
        `script: ${BURST_SIZE} requests`,
        'some 429',
        '',
        { path: `/orders?[1-${BURST_SIZE}]` },
        /^\d+ x 200, \d+ x 429$/,
      ),
      row('app: valid token, after that', '200', 'ok', { headers: ['@valid'] }),
    ],
  },
  {
    title: 'ENFORCE',
    about: 'denies unverified requests',
    edit: 'enforce',
    rows: [
      row('app: valid token', '200', 'ok', { headers: ['@valid'] }),
      row('script: no token', '401', 'missing_approov_token'),
      row('app: attacker in the middle', '401', 'missing_approov_token', {
        headers: ['approov-token: mitm_detected'],
      }),
      row('expired token', '401', 'token_expired', { headers: ['@expired'] }),
      row('tampered app: bad signature', '401', 'invalid_token_signature', { headers: ['@forged'] }),
      row('two tokens', '401', 'duplicate_approov_token', { headers: ['@valid', '@forged'] }),
    ],
  },
  {
    title: 'BINDING',
    about: 'ties a token to the session of one user',
    rows: [
      row("Alice's token, her session", '200', 'ok', {
        headers: ['@alice', `authorization: ${SESSION}`],
      }),
      row("Alice's token, stolen", '401', 'binding_mismatch', {
        headers: ['@alice', 'authorization: Bearer mallory'],
      }),
    ],
  },
  {
    title: 'SIGNED',
    about: 'the phone signs each request with a key that never leaves it',
    rows: [
      row('phone: signed request', '200', 'ok', {
        sign: { file: 'signed', key: 'phone' },
        headers: ['@signed'],
        body: '@order',
      }),
      row('thief: the same request', '401', 'message_replayed', { headers: ['@signed'], body: '@order' }),
      row('thief: another path', '401', 'invalid_message_signature', {
        path: '/orders/7',
        headers: ['@signed'],
        body: '@order',
      }),
      row('thief: another body', '401', 'content_digest_mismatch', {
        headers: ['@signed'],
        body: '{"item":7}',
      }),
      row('thief: the token alone', '401', 'missing_message_signature', { headers: ['@signed:1'] }),
      row('thief: the token, own phone', '401', 'invalid_message_signature', {
        sign: { file: 'stolen', tokenOf: 'signed' },
        headers: ['@stolen'],
        body: '@order',
      }),
    ],
  },
  {
    title: 'PATHS',
    about: '/public is open, and is not a way around the check',
    rows: [
      row('public file', '200', 'not checked', { path: '/public/logo.png' }),
      row('dot segments', '401', 'missing_approov_token', { path: '/public/../orders' }),
      row('escaped slash', '400', 'by Envoy', { path: '/public/..%2Forders' }),
      row('path parameter', '401', 'missing_approov_token', { path: '/public/..;/orders' }),
      row('browser: CORS preflight', '200', 'cors_preflight', {
        method: 'OPTIONS',
        headers: ['origin: https://app.example.com', 'access-control-request-method: POST'],
      }),
    ],
  },
];

/**
 * What the app gets while the mode changes.
 * @param {string} edit
 * @param {string} before the mode so far
 * @returns {Omit<Row, 'request'> & { how: string }}
 */
export function editRow(edit, before) {
  return {
    words: 'app: during the reload',
    expected: 'all 200',
    reason: '',
    pattern: /^\d+ x 200 in \d+\.\d s$/,
    how: `mode: ${before} -> ${edit}`,
  };
}

/**
 * What to do after the demo, with a command for bash and zsh.
 * @type {readonly (readonly [words: string, command: string])[]}
 */
export const NEXT = [
  ['Keep it running, to paste the curl commands:', 'npm run demo -- --keep'],
  [
    "Make a secret to try with (README.md: how to save your account's):",
    '(umask 077; openssl rand -base64 48 >secret.txt)',
  ],
  ['Run the service with it; Ctrl-C ends it:', 'APPROOV_BASE64_SECRET_FILE=secret.txt npx approov-ext-authz'],
];
