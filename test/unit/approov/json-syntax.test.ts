/** Tests that the first syntax error of a JSON text is found, and that there is one exactly where the engine finds one. */
import * as fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { findJsonFault } from '../../../src/approov/json-syntax.ts';

function isJson(text: string): boolean {
  try {
    JSON.parse(text);
    return true;
  } catch {
    return false;
  }
}

describe('findJsonFault', () => {
  it.each<[text: string, line: number, column: number, message: string]>([
    ['', 1, 1, 'a value is missing here'],
    [' \n', 2, 1, 'a value is missing here'],
    ['{"keys": [\n  {"kty": "EC"},\n]}', 3, 1, 'a value is missing here'],
    ['[', 1, 2, 'a value or "]" is missing here'],
    ['{"keys": [', 1, 11, 'a value or "]" is missing here'],
    ['{', 1, 2, 'a name in double quotes or "}" is missing here'],
    ['{keys: []}', 1, 2, 'a name in double quotes or "}" is missing here'],
    ["{'keys': []}", 1, 2, 'a name in double quotes or "}" is missing here'],
    ['{"a": 1,}', 1, 9, 'a name in double quotes is missing here, or the comma before is one too many'],
    ['{"a" 1}', 1, 6, '":" is missing here'],
    ['{\n"a": 1\n"b": 2}', 3, 1, '"," or "}" is missing here'],
    ['["a" "b"]', 1, 6, '"," or "]" is missing here'],
    ['["a"}', 1, 5, '"," or "]" is missing here'],
    ['{"a": "b', 1, 7, 'this text is not closed, or has an invalid escape'],
    ['["\\x"]', 1, 2, 'this text is not closed, or has an invalid escape'],
    ['["a\nb"]', 1, 2, 'this text is not closed, or has an invalid escape'],
    ['[undefined]', 1, 2, 'a value or "]" is missing here'],
    ['{"a": NaN}', 1, 7, 'a value is missing here'],
    ['[01]', 1, 2, 'a value or "]" is missing here'],
    ['{} x', 1, 4, 'something follows the end of the JSON'],
    ['-----BEGIN PUBLIC KEY-----', 1, 1, 'a value is missing here'],
  ])('places the fault of %j at line %i, column %i', (text, line, column, message) => {
    expect(isJson(text)).toBe(false);
    expect(findJsonFault(text)).toEqual({ line, column, message });
  });

  it('finds none in JSON', () => {
    fc.assert(
      fc.property(fc.json({ noUnicodeString: false }), (text) => {
        expect(findJsonFault(text)).toBeUndefined();
      }),
      { numRuns: 200 },
    );
  });

  it('finds one exactly where the engine does', () => {
    const tokens = ['{', '}', '[', ']', ':', ',', '"a"', '"', '\\', '1', '-', '.', 'true', 'nul', ' ', '\n'];
    fc.assert(
      fc.property(fc.array(fc.constantFrom(...tokens), { maxLength: 12 }), (parts) => {
        const text = parts.join('');
        expect(findJsonFault(text) === undefined).toBe(isJson(text));
      }),
      { numRuns: 2000 },
    );
  });

  it('is not exhausted by a large text', () => {
    expect(findJsonFault('['.repeat(1_000_000))).toMatchObject({ line: 1, column: 1_000_001 });
    expect(findJsonFault(`["${'a'.repeat(1_000_000)}`)).toMatchObject({ line: 1, column: 2 });
  });
});
