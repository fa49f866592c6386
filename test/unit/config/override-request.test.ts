/** Tests which requests to override a mode are accepted, and what is said of the others. */
import { describe, expect, it } from 'vitest';
import { formatProblem } from '../../../src/config/config.ts';
import { parseOverrideRequest } from '../../../src/config/override-request.ts';

const SET = { policy: 'default', mode: 'observe', seconds: 1800, reason: 'locked out' };

function problemsOf(body: unknown): readonly string[] {
  const request = parseOverrideRequest(body);
  return request.kind === 'invalid' ? request.problems.map(formatProblem) : [];
}

describe('a request to override a mode', () => {
  it.each(['observe', 'limit', 'enforce'])('may ask for %s', (mode) => {
    expect(parseOverrideRequest({ ...SET, mode })).toEqual({ kind: 'set', ...SET, mode });
  });

  it('may clear an override', () => {
    expect(parseOverrideRequest({ policy: 'default', clear: true })).toEqual({
      kind: 'clear',
      policy: 'default',
    });
  });

  it.each([1, 1.5, 14_400])('may last %d s', (seconds) => {
    expect(problemsOf({ ...SET, seconds })).toEqual([]);
  });

  it.each(['x', 'ü '.repeat(100), '\u{1F6D1}'.repeat(200), '"quotes", <b>, \\n'])(
    'may have the reason %j',
    (reason) => {
      expect(problemsOf({ ...SET, reason })).toEqual([]);
    },
  );

  const REASON = 'must have 1 to 200 printable characters';
  it.each<[what: string, body: unknown, problems: readonly string[]]>([
    [
      'mode off',
      { ...SET, mode: 'off' },
      ['mode: off is not allowed: observe allows the same requests, and counts them'],
    ],
    [
      'a mode that is none',
      { ...SET, mode: 'observ' },
      ['mode: "observ" is not a mode; did you mean "observe"? (observe, limit, enforce)'],
    ],
    ['no time at all', { ...SET, seconds: 0.5 }, ['seconds: 0.5 must be at least 1']],
    ['more than 4 h', { ...SET, seconds: 14_401 }, ['seconds: 14401 must be at most 14400']],
    ['a time that is a string', { ...SET, seconds: '30m' }, ['seconds: must be a number, not "30m"']],
    ['an empty reason', { ...SET, reason: '' }, [`reason: "" ${REASON}`]],
    ['a blank reason', { ...SET, reason: ' \u00a0 ' }, [`reason: " \u00a0 " ${REASON}`]],
    ['a reason of 201 characters', { ...SET, reason: 'x'.repeat(201) }, [`reason: ${REASON}`]],
    ['a line break in the reason', { ...SET, reason: 'a\nb' }, [`reason: "a\\nb" ${REASON}`]],
    ['a bidi override in the reason', { ...SET, reason: 'a\u202eb' }, [`reason: "a\\u202eb" ${REASON}`]],
    ['half a surrogate pair in the reason', { ...SET, reason: '\ud83d' }, [`reason: "\\ud83d" ${REASON}`]],
    [
      'nothing',
      {},
      ['policy: is required', 'mode: is required', 'seconds: is required', 'reason: is required'],
    ],
    ['an unknown field', { ...SET, by: 'me' }, ['by: unknown field; known: policy, mode, seconds, reason']],
    [
      'clear with a mode',
      { ...SET, clear: true },
      expect.arrayContaining([expect.stringMatching(/^mode: /)]),
    ],
    ['clear: false', { policy: 'default', clear: false }, ['clear: must be true']],
    ['a list', [], ['must be a JSON object, not an array']],
    ['null', null, ['must be a JSON object, not null']],
    ['a string', 'observe', ['must be a JSON object, not a string']],
  ])('is refused with %s', (_, body, problems) => {
    expect(problemsOf(body)).toEqual(problems);
  });
});
