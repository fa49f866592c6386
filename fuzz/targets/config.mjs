/** Reads configuration files: any text, with a configuration or problems that fit on a line and contain no secret. */
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { parseConfig } from '../../src/config/parse.ts';

const ROOT = new URL('../../', import.meta.url);
const SECRET = Buffer.alloc(64, 'S3cret+').toString('base64');
/** A field may be called like a shorter part of it. */
const LEAKED_CHARACTERS = 24;
const PARTS = Array.from({ length: SECRET.length - LEAKED_CHARACTERS }, (_, at) =>
  SECRET.slice(at, at + LEAKED_CHARACTERS),
);
const ENV = { APPROOV_BASE64_SECRET: SECRET };

export const covers = ['dist/config/'];
export const maxBytes = 2048;

/** @param {Buffer} data */
export function fuzz(data) {
  const { config, problems } = parseConfig(data.toString(), ENV);
  assert.equal(config === undefined, problems.length > 0);
  for (const { path, message } of problems) {
    assert.equal(typeof path, 'string');
    assert.ok(message.length > 0);
    for (const text of [path, message]) {
      assert.doesNotMatch(text, /[\p{Cc}\p{Cf}\p{Zl}\p{Zp}]/u, 'a problem has control characters');
      assert.ok(!PARTS.some((part) => text.includes(part)), 'a problem contains a secret');
    }
  }
}

/** @param {string} path */
const file = (path) => readFileSync(new URL(path, ROOT), 'utf8');

/** @param {string} text */
const withoutComments = (text) => text.replace(/^\s*#.*\n| +#.*$/gm, '');
const SAMPLES = ['config', 'message-signatures', 'kubernetes'].map((name) =>
  file(`deploy/${name}/config.yaml`),
);
const EXAMPLES = [...file('docs/configuration.md').matchAll(/```yaml\n(.*?)```/gs)].map(
  ([, text = '']) => text,
);

/** The samples, and each section of the documented examples by itself. */
export const seeds = [...SAMPLES, ...EXAMPLES.flatMap((text) => text.split(/^(?=[a-z])/m))]
  .map(withoutComments)
  .filter(Boolean);

/** The names of all fields, and what YAML has in store. */
export const words = [
  ...new Set(
    [...file('config.schema.json').matchAll(/"([A-Za-z]+)": \{|"const": "([^"]+)"|^\s*"([a-z-]+)",?$/gm)].map(
      ([, field, constant, value]) => (field === undefined ? String(constant ?? value) : `${field}: `),
    ),
  ),
  ...[
    '\n',
    '\n  ',
    '\n    ',
    '- ',
    '{',
    '}',
    '[',
    ']',
    ', ',
    '&a ',
    '*a',
    '<<: *a',
    '!!binary ',
    '!!set ',
    '? ',
    '|\n ',
    '>-\n ',
  ],
  ...[
    '---\n',
    '...\n',
    '%YAML 1.1\n',
    '"\\u2028"',
    "'",
    '0x1F',
    '1e999',
    '.nan',
    '~',
    '2001-01-01',
    '\ufeff',
    '__proto__: ',
  ],
  ...[SECRET, '127.0.0.1:9001', '[::1]:1', 'unix:/a', 'https://a.example/jwks', '*.example.com', '/a/'],
];
