/** Finds the first syntax error of a JSON text: engines say it in words of their own, some without the place. */

export interface TextPosition {
  /** Both from 1. */
  readonly line: number;
  readonly column: number;
}

interface JsonFault extends TextPosition {
  /** Quotes nothing of the text. */
  readonly message: string;
}

const SPACE = /[ \t\r\n]*/y;
const STRING = /"(?:[ !#-[\]-\uffff]|\\(?:["\\/bfnrt]|u[0-9A-Fa-f]{4}))*"/y;
const NUMBER_OR_WORD = /(?:-?(?:0|[1-9]\d*)(?:\.\d+)?(?:[Ee][+-]?\d+)?|true|false|null)(?![\w.+-])/y;

type State = 'value' | 'first item' | 'first name' | 'name' | 'colon' | 'after item' | 'after member' | 'end';

const MISSING: Readonly<Record<State, string>> = {
  value: 'a value is missing here',
  'first item': 'a value or "]" is missing here',
  'first name': 'a name in double quotes or "}" is missing here',
  name: 'a name in double quotes is missing here, or the comma before is one too many',
  colon: '":" is missing here',
  'after item': '"," or "]" is missing here',
  'after member': '"," or "}" is missing here',
  end: 'something follows the end of the JSON',
};

/** The character that is expected, and the state after it. */
const SEPARATORS: Readonly<Partial<Record<State, readonly [character: string, next: State]>>> = {
  colon: [':', 'value'],
  'after item': [',', 'value'],
  'after member': [',', 'name'],
};
const CLOSING: Readonly<Partial<Record<State, string>>> = {
  'first item': ']',
  'after item': ']',
  'first name': '}',
  'after member': '}',
};

/** `undefined` if the text is JSON. */
export function findJsonFault(text: string): JsonFault | undefined {
  const open: ('after item' | 'after member')[] = [];
  let state: State = 'value';
  let offset = skip(SPACE, text, 0);
  while (offset < text.length) {
    const character = text.charAt(offset);
    const isValue: boolean = state === 'value' || state === 'first item';
    const isName: boolean = state === 'name' || state === 'first name';
    let end = offset + 1;
    if (CLOSING[state] === character) {
      open.pop();
      state = open.at(-1) ?? 'end';
    } else if (isValue && character === '[') {
      open.push('after item');
      state = 'first item';
    } else if (isValue && character === '{') {
      open.push('after member');
      state = 'first name';
    } else if ((isValue || isName) && character === '"') {
      end = skip(STRING, text, offset);
      if (end === offset) return faultAt(text, offset, 'this text is not closed, or has an invalid escape');
      state = isName ? 'colon' : (open.at(-1) ?? 'end');
    } else if (isValue) {
      end = skip(NUMBER_OR_WORD, text, offset);
      if (end === offset) return faultAt(text, offset, MISSING[state]);
      state = open.at(-1) ?? 'end';
    } else {
      const [separator, next]: readonly [string?, State?] = SEPARATORS[state] ?? [];
      if (separator !== character || next === undefined) return faultAt(text, offset, MISSING[state]);
      state = next;
    }
    offset = skip(SPACE, text, end);
  }
  return state === 'end' ? undefined : faultAt(text, offset, MISSING[state]);
}

/** The offset after the match, or the same offset. */
function skip(pattern: RegExp, text: string, offset: number): number {
  pattern.lastIndex = offset;
  return offset + (pattern.exec(text)?.[0].length ?? 0);
}

function faultAt(text: string, offset: number, message: string): JsonFault {
  const before = text.slice(0, offset);
  const lineStart = before.lastIndexOf('\n') + 1;
  return { message, line: before.split('\n').length, column: offset - lineStart + 1 };
}
