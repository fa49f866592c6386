/** Tests the formats of log lines. */
import { expect, test } from 'vitest';
import { formatJson, loadLineFormat } from '../../../src/telemetry/line-format.ts';

const COLOUR = new RegExp(`${String.fromCharCode(0x1b)}\\[\\d+m`, 'g');
const TERMINAL = { isTTY: true, hasColors: () => true };
const NASTY = 'a\u0007\u001b[2J\n\u0085\u009b2J\u2028\u2029\u202emoc\u2066\u200f\u{e0041}\u007fz';
const LINE = `${JSON.stringify({
  level: 'warn',
  time: '2026-11-29T16:43:26.123Z',
  pid: 1,
  hostname: 'h',
  host: NASTY,
  error: NASTY,
  stack: [NASTY],
  keys: { [NASTY]: NASTY },
  msg: NASTY,
})}\n`;

test.each([
  ['auto', {}],
  ['json', {}],
  ['json', TERMINAL],
] as const)('%s on %j is JSON', async (format, output) => {
  expect(await loadLineFormat(format, output)).toBe(formatJson);
});

test('JSON is one line of printable ASCII that keeps its values', () => {
  expect(formatJson(LINE)).toMatch(/^[\x20-\x7e]+\n$/);
  expect(JSON.parse(formatJson(LINE))).toEqual(JSON.parse(LINE));
});

test.each([
  ['pretty', {}],
  ['pretty', { isTTY: true }],
  ['auto', { isTTY: true, hasColors: () => false }],
] as const)('%s on %j is one line of printable text, whatever it contains', async (format, output) => {
  const line = (await loadLineFormat(format, output))(LINE);
  expect(line).toMatch(/^\[\d\d:\d\d:\d\d\.123\] WARN: a\\u0007[\x20-\x7e]+\n$/);
  expect(line).toContain(String.raw`"host":"a\u0007\u001b[2J\n\u0085\u009b2J\u2028\u2029\u202emoc`);
  expect(line).not.toContain('hostname');
});

test('on a terminal with colours, colours are the only control characters', async () => {
  const line = (await loadLineFormat('auto', TERMINAL))(LINE);
  expect(line).toContain('\u001b[33mWARN\u001b[39m');
  expect(line.replaceAll(COLOUR, '')).toMatch(/^[\x20-\x7e]+\n$/);
});
