/** Tests that a mistake in YAML's syntax is reported in plain words, in one line, where it is. */
import { describe, expect, it } from 'vitest';
import { formatProblem } from '../../../src/config/config.ts';
import { parseConfig } from '../../../src/config/parse.ts';
import { placeProblems } from '../../../src/config/places.ts';
import { SECRET } from '../../support/token.ts';

function linesOf(text: string): string[] {
  const { problems } = parseConfig(text, { APPROOV_BASE64_SECRET: SECRET });
  return placeProblems('c.yaml', text, problems).map(formatProblem);
}

const TAB = 'a tab is used for indentation; use spaces';
const NO_COLON = 'a colon is missing; a field is written "name: value"';
const MISALIGNED = 'the indentation of this line does not match the lines above; align it with its siblings';
const NO_ANCHOR =
  'a string that begins with "*" needs quotes; without them, it refers to an anchor, and there is none of that name';
const ESCAPE = 'in double quotes, a backslash starts an escape; write it twice, or use single quotes';
const BLOCK =
  'a string after "|" or ">" begins on the next line; a string that begins with one of them needs quotes';
const CONFLICT = 'a merge conflict is not resolved';
const NOT_MAPPING = (kind: string) =>
  `must be a mapping of fields, not ${kind}; for example policies: {default: {mode: observe}}`;

describe('a mistake in the syntax', () => {
  it.each<[name: string, text: string, ...expected: (readonly [place: string, message: string])[]]>([
    ['a tab', 'policies:\n\tdefault:\n\t\tmode: observe\n', ['2:1', TAB], ['3:1', TAB]],
    ['a tab after spaces', 'policies:\n  default:\n  \tmode: observe\n', ['3:3', TAB]],
    ['a tab in the first line', '\tlog: {level: info}\n', ['1:1', TAB]],
    [
      'no space after a colon, before another field',
      'policies:\n  default:\n    mode:observe\n    binding: null\n',
      ['3:5', 'a space is missing after "mode:"'],
    ],
    [
      'no space after a colon, after another field',
      'policies:\n  default:\n    binding: null\n    mode:observe\n',
      ['4:5', 'a space is missing after "mode:"'],
    ],
    [
      'no space after a dash',
      'keys:\n  -id: a\n   secretFile: /b\n',
      ['2:8', 'a space is missing after the dash'],
    ],
    ['no colon after a section', 'policies\n  default:\n    mode: off\n', ['1:1', NO_COLON]],
    ['no colon after a field', 'log:\n  level info\n  checks: all\n', ['2:3', NO_COLON]],
    ['no colon in the last line', 'log:\n  level: info\n  checks all\n', ['3:3', NO_COLON]],
    [
      'an open double quote',
      'policies:\n  default:\n    tokenPrefix: "Bearer \n    mode: off\n',
      ['3:18', 'this double quote is not closed; add the closing one'],
    ],
    [
      'an open single quote',
      "policies:\n  default:\n    tokenPrefix: 'Bearer \n    mode: off\n",
      ['3:18', 'this single quote is not closed; add the closing one, and write one inside the string twice'],
    ],
    [
      'text after a quote',
      'policies:\n  default:\n    tokenPrefix: "Bearer " x\n',
      ['3:28', 'text follows a closing quote; remove it, or quote it all'],
    ],
    ['a field given twice', 'log: {}\nlog: {}\n', ['2:1', 'log is given twice, first in line 1; keep one']],
    [
      'a field indented too little',
      'policies:\n  default:\n    mode: off\n   binding: null\n',
      ['4:4', MISALIGNED],
    ],
    [
      'a field indented too far',
      'policies:\n  default:\n    mode: off\n      binding: null\n',
      ['4:7', 'this line is indented below a field that has a value already; align it with that field'],
    ],
    ['a first line that is indented', ' log:\n  level: info\nworkers: 1\n', ['3:1', MISALIGNED]],
    [
      'a field of a list item indented too little',
      'keys:\n  - id: a\n   secretFile: /b\n',
      ['3:4', MISALIGNED],
    ],
    ['a list item indented too far', 'keys:\n- id: a\n  secretFile: /b\n -  id: c\n', ['4:2', MISALIGNED]],
    [
      'a list item after fields',
      'keys:\n  id: a\n  - id: b\n',
      ['3:3', 'a list item ("-") follows fields; a section is either a list or a mapping'],
    ],
    ['an alias of nothing', 'policies:\n  default: *nope\n', ['2:12', NO_ANCHOR]],
    ['a host without quotes', 'routes:\n  - {host: *.example.com, policy: default}\n', ['2:12', NO_ANCHOR]],
    [
      'a second document',
      'log: {}\n---\nworkers: 1\n',
      ['2:1', 'a second document begins here; the file has one'],
    ],
    ['an open bracket', 'routes: [{policy: default}\nlog: {}\n', ['1:9', '"[" is not closed; add "]"']],
    ['an open brace', 'log: {level: info\n', ['1:6', '"{" is not closed; add "}"']],
    ['a brace too many', 'log: {level: info}}\n', ['1:19', 'this bracket closes nothing; remove it']],
    ['the wrong bracket', 'routes: [{policy: default]\n', ['1:10', '"{" is not closed; add "}"']],
    [
      'no comma',
      'log: {level: info checks: all}\n',
      ['1:14', 'a comma is missing between two items in brackets'],
    ],
    [
      'a comma too many',
      'log: {level: info,, checks: all}\n',
      ['1:19', 'there is nothing before this comma; remove it'],
    ],
    ['an unquoted @', 'routes:\n  - host: @host\n', ['2:11', 'a string that begins with "@" needs quotes']],
    ['an unquoted backtick', 'defaultPolicy: `x`\n', ['1:16', 'a string that begins with "`" needs quotes']],
    ['a backslash', 'policies:\n  default:\n    tokenPrefix: "C:\\path"\n', ['3:21', ESCAPE]],
    [
      'a tag',
      'log:\n  level: !!binary aGk=\n',
      ['2:10', 'a string that begins with "!" needs quotes; tags are not supported'],
    ],
    [
      'a colon in a value',
      'denied:\n  body: a: b\n',
      ['2:9', 'a string with a colon and a space needs quotes'],
    ],
    [
      'a template',
      'policies:\n  default:\n    mode: {{ mode }}\n',
      ['3:12', 'a template ("{{ … }}") is not filled in'],
    ],
    ['a name that is a list', '[a]: 1\n', ['1:1', 'the name of a field must be a string']],
    ['a directive', '%FOO\n---\nlog: {}\n', ['1:1', 'a line that begins with "%" is not supported']],
    ['a long name', `${'x'.repeat(1100)}: 1\n`, ['1:1', 'the name of this field is too long']],
    ['two anchors', 'log: &a &b {}\n', ['1:9', 'there is more than one anchor or tag']],
    ['text after |', 'denied:\n  body: | a\n', ['2:11', BLOCK]],
    [
      'a merge conflict',
      'a: 1\n<<<<<<< HEAD\nlog: {}\n=======\nlog: {level: info}\n>>>>>>> b\n',
      ['2:1', CONFLICT],
      ['4:1', CONFLICT],
      ['6:1', CONFLICT],
    ],
    [
      'no space before a comment',
      'log: {level: info}#x\n',
      ['1:19', 'a space is missing before the # of a comment'],
    ],
  ])('such as %s is reported', (_name, text, ...expected) => {
    expect(linesOf(text)).toEqual(
      expected.map(([place, message]) => `c.yaml:${place}: not valid YAML: ${message}`),
    );
  });
});

describe('valid YAML that is no configuration', () => {
  it.each([
    ['a list', '- a\n', NOT_MAPPING('a list')],
    ['a word', 'hello\n', NOT_MAPPING('a single value')],
    [
      'a field without a space',
      'workers:1\n',
      'must be a mapping of fields, not a single value; a space is missing after "workers:"',
    ],
    [
      'a secret',
      `${SECRET}\n`,
      'looks like a secret: name its file in APPROOV_BASE64_SECRET_FILE, or in keys[].secretFile of this file',
    ],
  ])('such as %s is reported', (_name, text, message) => {
    expect(linesOf(text)).toEqual([`c.yaml:1:1: ${message}`]);
  });

  it.each([
    [
      'policies:\n  default:\n    mode:observe\n',
      'c.yaml:3:5: policies.default: must be a mapping; a space is missing after "mode:"',
    ],
    ['log: {level:debug}\n', 'c.yaml:1:7: log.level:debug: unknown field; a space is missing after "level:"'],
  ])('such as %j, where a space is missing, is reported', (text, expected) => {
    expect(linesOf(text)).toEqual([expected]);
  });
});

describe('the report', () => {
  it('has one line for each line with mistakes, and at most 21', () => {
    const text = Array.from({ length: 1000 }, (_, index) => `f${index} value`).join('\n\n');
    expect(linesOf(text)).toHaveLength(1);
    expect(linesOf(Array.from({ length: 1000 }, () => '\ta: 1').join('\n'))).toHaveLength(21);
  });

  it('quotes no text that may be a secret', () => {
    const mistakes = [': x: y', '"', ' "', '\n\tb', ':z', ' [', '\n  c'];
    const texts = mistakes.flatMap((mistake) => [
      `${SECRET}${mistake}`,
      `a: ${SECRET}${mistake}`,
      `{a: ${SECRET}${mistake}`,
    ]);
    for (const text of [...texts, `${SECRET}: 1\n${SECRET}: 2`]) {
      const lines = linesOf(text);
      expect(lines.length, text).toBeGreaterThan(0);
      expect(lines.join('\n')).not.toContain(SECRET.slice(0, 12));
    }
  });

  it('takes no longer for a file full of mistakes than for one full of fields', () => {
    // Described are 50 of them: a walk through the document for each of 10,000 would take minutes.
    const text = Array.from({ length: 10_000 }, () => 'a: ["').join('\n');
    expect(linesOf(text).length).toBeLessThanOrEqual(21);
  });
});
