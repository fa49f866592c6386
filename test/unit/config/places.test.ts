/** Tests that a problem is reported with the line and column where it is. */
import { expect, it } from 'vitest';
import { formatProblem } from '../../../src/config/config.ts';
import { parseConfig } from '../../../src/config/parse.ts';
import { placeProblems } from '../../../src/config/places.ts';
import { SECRET } from '../../support/token.ts';

const TEXT = `# a comment
keys:
  - {id: A, secretFile: /a}
policies:
  default:
    mode: observer
    bindings: null
  "${SECRET}": &shared
    mode: off
  other: *shared
  broken:
    binding: {when: always}
denied:
  headers: {x.y: ""}
routes:
  - policy: none
`;

function placesOf(text: string, env = {}): string[] {
  return placeProblems('c.yaml', text, parseConfig(text, env).problems).map(
    ({ place = '', path }) => `${place} ${path}`,
  );
}

it('a problem is placed at the value, at an unknown field, or at what a field is missing from', () => {
  expect(placesOf(TEXT)).toEqual(
    expect.arrayContaining([
      'c.yaml:3:10 keys[0].id',
      'c.yaml:6:11 policies.default.mode',
      'c.yaml:7:5 policies.default.bindings',
      'c.yaml:8:3 policies.[hidden: it looks like a secret]',
      'c.yaml:12:5 policies.broken.binding.headers',
      'c.yaml:12:21 policies.broken.binding.when',
      'c.yaml:14:18 denied.headers.x.y',
      'c.yaml:16:13 routes[0].policy',
    ]),
  );
});

it('problems are in the order of the file, and those without a place come last', () => {
  const text = 'routes: [{policy: none}]\nlog: {level: loud, format: 1}\npolicy: {}\n';
  expect(placesOf(text, { APPROOV_MODE: 'x' })).toEqual([
    'c.yaml:1:19 routes[0].policy',
    'c.yaml:2:14 log.level',
    'c.yaml:2:28 log.format',
    'c.yaml:3:1 policy',
    ' APPROOV_MODE',
    ' keys',
  ]);
});

it('a name that looks like a number is found as it is written', () => {
  const text = 'policies:\n  0x10: {mode: x}\n  1.0: {mode: y}\n';
  expect(placesOf(text)).toEqual(
    expect.arrayContaining(['c.yaml:2:16 policies.0x10.mode', 'c.yaml:3:3 policies.1.0']),
  );
});

it('a syntax error has its place only once', () => {
  const [problem] = placeProblems('c.yaml', 'a:\n b: c: d', parseConfig('a:\n b: c: d', {}).problems);
  expect(problem && formatProblem(problem)).toMatch(/^c\.yaml:2:5: not valid YAML: /);
});

it('a problem of a variable, or of a field that is nowhere, has no place', () => {
  expect(placesOf('log: {level: info}', { LOG_LEVEL: 'loud', APPROOV_MOD: 'off' })).toEqual([
    ' APPROOV_MOD',
    ' LOG_LEVEL',
    ' keys',
  ]);
});

it('of very many problems only the first are placed', () => {
  const text = Array.from({ length: 1000 }, (_, index) => `x${index}: 1`).join('\n');
  expect(placesOf(text).filter((place) => place.startsWith('c.yaml'))).toHaveLength(50);
});
