/** Tests the exact lines that bad input from the environment or the command line is reported with. */
import { afterAll, beforeAll, expect, it } from 'vitest';
import { errorsOf, FOREIGN_WORDS, type Input, removeFiles, writeFiles } from '../../support/bad-input.ts';

beforeAll(writeFiles);
afterAll(removeFiles);

const CASES: [name: string, input: Input, ...expected: string[]][] = [
  [
    'a note above the secret',
    { env: { APPROOV_BASE64_SECRET_FILE: 'noted' } },
    'APPROOV_BASE64_SECRET_FILE: noted: the secret (111 characters) is neither base64 nor base64url; line 2 alone is a secret: remove the other lines',
  ],
  [
    'an empty secret file',
    { env: { APPROOV_BASE64_SECRET_FILE: 'empty' } },
    'APPROOV_BASE64_SECRET_FILE: empty: the secret is empty',
  ],
  [
    'a short secret',
    { env: { APPROOV_BASE64_SECRET_FILE: 'short' } },
    'APPROOV_BASE64_SECRET_FILE: short: the secret decodes to 5 bytes; at least 32 are needed for HS256',
  ],
  [
    'a misspelt secret file',
    { env: { APPROOV_BASE64_SECRET_FILE: 'secrt' } },
    'APPROOV_BASE64_SECRET_FILE: secrt: no such file; did you mean secret?',
  ],
  [
    'a folder as secret file',
    { env: { APPROOV_BASE64_SECRET_FILE: 'folder' } },
    'APPROOV_BASE64_SECRET_FILE: folder: is a directory',
  ],
  [
    'a secret in quotes',
    { env: { APPROOV_BASE64_SECRET: '"SECRET"' } },
    'APPROOV_BASE64_SECRET: the secret (90 characters) is neither base64 nor base64url; it is in quotes: remove them',
  ],
  [
    'a secret that is a word',
    { env: { APPROOV_BASE64_SECRET: 'changeme!' } },
    'APPROOV_BASE64_SECRET: the secret (9 characters) is neither base64 nor base64url',
  ],
  [
    'a misspelt variable',
    { env: { APPROOV_BASE64_SECRET: 'SECRET', APPROOV_MOD: 'off' } },
    'APPROOV_MOD: unknown variable; did you mean APPROOV_MODE?',
  ],
  [
    'no key',
    { env: {} },
    'keys: no key: set APPROOV_BASE64_SECRET or APPROOV_BASE64_SECRET_FILE, or keys in the file; the Approov CLI prints the secret: approov secret -get base64',
  ],
  [
    'two secrets',
    { env: { APPROOV_BASE64_SECRET: 'SECRET', APPROOV_BASE64_SECRET_FILE: 'secret' } },
    'APPROOV_BASE64_SECRET: set together with APPROOV_BASE64_SECRET_FILE: give one',
  ],
  [
    'a misspelt mode in the environment',
    { env: { APPROOV_BASE64_SECRET: 'SECRET', APPROOV_MODE: 'observed' } },
    'APPROOV_MODE: "observed" is not a mode; did you mean "observe"? (off, observe, limit, enforce)',
  ],
  [
    'a mode in quotes in the environment',
    { env: { APPROOV_BASE64_SECRET: 'SECRET', APPROOV_MODE: '"observe"' } },
    'APPROOV_MODE: is in quotes: remove them',
  ],
  [
    'a bad header in the environment',
    { env: { APPROOV_BASE64_SECRET: 'SECRET', APPROOV_BINDING_HEADER: 'Authorization:' } },
    'APPROOV_BINDING_HEADER: "Authorization:" must be a header name',
  ],
  [
    'a bare port in the environment',
    { env: { APPROOV_BASE64_SECRET: 'SECRET', APPROOV_GRPC_LISTEN: '9001' } },
    'APPROOV_GRPC_LISTEN: "9001" must be host:port, [v6]:port or unix:/path; for example 0.0.0.0:9001',
  ],
  [
    'the port of the admin pages in the environment',
    { env: { APPROOV_BASE64_SECRET: 'SECRET', APPROOV_GRPC_LISTEN: '0.0.0.0:9002' } },
    'listen.admin: 127.0.0.1:9002 overlaps listen.grpc (0.0.0.0:9002); give each a port of its own',
  ],
  [
    'a bad log level in the environment',
    { env: { APPROOV_BASE64_SECRET: 'SECRET', LOG_LEVEL: 'verbose' } },
    'LOG_LEVEL: "verbose" is not a log level (trace, debug, info, warn, error, fatal, silent)',
  ],
  [
    'a missing configuration file',
    { args: ['check-config', '--config', 'confg.yaml'] },
    'configuration file: confg.yaml: no such file; did you mean config.yaml?',
  ],
  [
    'a folder as configuration file',
    { args: ['check-config', '--config', 'folder'] },
    'configuration file: folder: is a directory',
  ],
  [
    'an unknown option',
    { args: ['check-config', '--cofnig', 'x'] },
    'no such option: --cofnig; did you mean --config?',
  ],
  ['an option without its value', { args: ['check-config', '--config'] }, '--config: needs a value'],
  [
    'an option that begins with a dash',
    { args: ['mint', '--expires-in', '-1m'] },
    '--expires-in: needs a value; write --expires-in=VALUE if it begins with -',
  ],
  ['a value for a flag', { args: ['mint', '--invalid=yes'] }, '--invalid: takes no value'],
  [
    'an option as the value of another',
    { args: ['explain', '--host', '--path', '/a'] },
    '--host: needs a value; write --host=VALUE if it begins with -',
  ],
  [
    'a token without its option',
    { args: ['explain', 'eyJhbGciOiJIUzI1NiJ9.e30.x'] },
    'unexpected argument; give a token with --token TOKEN, or pipe it in with --token -',
  ],
  ['an argument too many', { args: ['completion', 'bash', 'zsh'] }, 'give one SHELL'],
  ['an unknown shell', { args: ['completion', 'tcsh'] }, 'completion: name a shell: bash, zsh, fish'],
  [
    'a header without a colon',
    { args: ['explain', '--header', 'authorization'] },
    "--header: must be 'name: value'",
  ],
  [
    'an invalid time',
    { args: ['explain', '--at', 'yesterday'] },
    '--at: must be a time such as 2026-01-31T12:00:00Z, or seconds since the epoch',
  ],
  [
    'an invalid duration',
    { args: ['mint', '--expires-in', '5 minutes'] },
    '--expires-in: must be a duration such as 90s, 5m or 1h',
  ],
  ['a claim without a value', { args: ['mint', '--claim', 'did'] }, '--claim: must be NAME=VALUE'],
  [
    'a claim that is too large a number',
    { args: ['mint', '--claim', 'n=1e999'] },
    '--claim: number out of range',
  ],
  [
    'an unknown key id',
    { args: ['mint', '--key-id', 'nope'] },
    '--key-id: unknown symmetric key; known: env',
  ],
];

it.each(CASES)('%s is reported in plain words', async (_name, input, ...expected) => {
  expect(await errorsOf(input)).toEqual(expected);
});

it('none of at least 30 inputs is reported in words of JavaScript', () => {
  expect(CASES.length).toBeGreaterThanOrEqual(30);
  const lines = CASES.flatMap(([, , ...expected]) => expected);
  expect(lines.length).toBeGreaterThanOrEqual(CASES.length);
  expect(lines.filter((line) => FOREIGN_WORDS.test(line))).toEqual([]);
});
