/** Tests which name a misspelt one is taken for. */
import { expect, it } from 'vitest';
import { editDistance, nearest } from '../../../src/config/nearest.ts';

it.each([
  ['', '', 0],
  ['abc', 'abc', 0],
  ['abc', 'acb', 1],
  ['abc', 'ab', 1],
  ['abc', 'abcd', 1],
  ['abc', 'abd', 1],
  ['ca', 'abc', 3],
  ['', 'abc', 3],
])('the edit distance of %j and %j is %i', (from, to, expected) => {
  expect([editDistance(from, to), editDistance(to, from)]).toEqual([expected, expected]);
});

it.each([
  ['observer', 'observe'],
  ['Observe', 'observe'],
  ['enfroce', 'enforce'],
  ['of', 'off'],
  ['enfrc', 'enforce'],
  ['limt', 'limit'],
  ['enforced!', 'enforce'],
  ['strict', undefined],
  ['of!!', undefined],
  ['', undefined],
  ['x'.repeat(1000), undefined],
])('the nearest mode to %j is %j', (name, expected) => {
  expect(nearest(name, ['off', 'observe', 'limit', 'enforce'])).toBe(expected);
});
