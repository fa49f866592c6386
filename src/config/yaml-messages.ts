/** Rewords YAML's syntax errors for people, and finds where the mistake is rather than where the parser noticed it. */
import { type Document, visit, type YAMLError } from 'yaml';

export interface SyntaxFault {
  readonly code: YAMLError['code'];
  /** The library's message; it is compared and never shown, as it may quote the text. */
  readonly detail: string;
  readonly offset: number;
}

/** What the fault is called if its line and, where given, the library's message match. The first match counts. */
interface Rule {
  /** Omitted: any. */
  readonly codes?: readonly SyntaxFault['code'][];
  readonly detail?: RegExp;
  /** Its first group stands for `$1` in the message, where `$&` is the character at the fault. */
  readonly line?: RegExp;
  readonly message: string;
  /** Default: where the parser noticed it. */
  readonly at?: (source: Source, offset: number) => number;
}

interface Source {
  readonly text: string;
  readonly document: Document;
}

const NO_SPACE = 'a space is missing after';
const MISALIGNED = 'the indentation of this line does not match the lines above; align it with its siblings';

const RULES: readonly Rule[] = [
  { line: /^(?:<{7}|={7}|>{7})(?: |$)/, message: 'a merge conflict is not resolved' },
  { codes: ['TAB_AS_INDENT'], message: 'a tab is used for indentation; use spaces' },
  {
    codes: ['MULTILINE_IMPLICIT_KEY', 'MISSING_CHAR', 'BLOCK_AS_IMPLICIT_KEY'],
    line: /^\s*(?:- +)?([A-Za-z]{1,24}:)[^\s/]/,
    message: `${NO_SPACE} "$1"`,
  },
  {
    codes: ['MULTILINE_IMPLICIT_KEY', 'MISSING_CHAR', 'BLOCK_AS_IMPLICIT_KEY'],
    line: /^\s*-[A-Za-z]/,
    message: `${NO_SPACE} the dash`,
  },
  {
    codes: ['MISSING_CHAR'],
    detail: /closing "/,
    message: 'this double quote is not closed; add the closing one',
    at: openingQuote,
  },
  {
    codes: ['MISSING_CHAR'],
    detail: /closing '/,
    message: 'this single quote is not closed; add the closing one, and write one inside the string twice',
    at: openingQuote,
  },
  { codes: ['MISSING_CHAR'], detail: /^Comments/, message: 'a space is missing before the # of a comment' },
  { codes: ['MISSING_CHAR'], detail: /^Sequence item/, message: MISALIGNED, at: firstOfLine },
  { codes: ['MISSING_CHAR'], detail: /^Missing space after :/, message: `${NO_SPACE} the colon` },
  {
    codes: ['MISSING_CHAR', 'BLOCK_IN_FLOW'],
    detail: /flow/,
    message: 'a comma is missing between two items in brackets',
  },
  {
    codes: ['BAD_INDENT'],
    detail: /end with a \]/,
    message: '"[" is not closed; add "]"',
    at: openingBracket,
  },
  {
    codes: ['BAD_INDENT'],
    detail: /end with a \}/,
    message: '"{" is not closed; add "}"',
    at: openingBracket,
  },
  { codes: ['BAD_INDENT'], message: MISALIGNED, at: firstOfLine },
  {
    codes: ['BLOCK_AS_IMPLICIT_KEY'],
    detail: /sequence/,
    message: 'a list item ("-") follows fields; a section is either a list or a mapping',
    at: firstOfLine,
  },
  {
    codes: ['BLOCK_AS_IMPLICIT_KEY'],
    line: /: .*:(?: |$)/,
    message: 'a string with a colon and a space needs quotes',
  },
  {
    codes: ['BLOCK_AS_IMPLICIT_KEY'],
    message: 'this line is indented below a field that has a value already; align it with that field',
    at: nextLine,
  },
  {
    codes: ['MULTILINE_IMPLICIT_KEY', 'MISSING_CHAR'],
    message: 'a colon is missing; a field is written "name: value"',
  },
  { codes: ['BAD_SCALAR_START'], message: 'a string that begins with "$&" needs quotes' },
  {
    codes: ['BAD_DQ_ESCAPE'],
    message: 'in double quotes, a backslash starts an escape; write it twice, or use single quotes',
  },
  {
    codes: ['BAD_ALIAS'],
    message:
      'a string that begins with "*" needs quotes; without them, it refers to an anchor, and there is none of that name',
  },
  {
    codes: ['TAG_RESOLVE_FAILED'],
    message: 'a string that begins with "!" needs quotes; tags are not supported',
  },
  { codes: ['MULTIPLE_DOCS'], message: 'a second document begins here; the file has one' },
  {
    codes: ['NON_STRING_KEY'],
    line: /\{\{/,
    message: 'a template ("{{ … }}") is not filled in',
  },
  { codes: ['NON_STRING_KEY'], message: 'the name of a field must be a string' },
  { codes: ['BAD_DIRECTIVE'], message: 'a line that begins with "%" is not supported' },
  { codes: ['KEY_OVER_1024_CHARS'], message: 'the name of this field is too long' },
  {
    codes: ['MULTIPLE_ANCHORS', 'MULTIPLE_TAGS', 'ALIAS_PROPS'],
    message: 'there is more than one anchor or tag',
  },
  {
    codes: ['UNEXPECTED_TOKEN'],
    detail: /^Unexpected flow-\w+-end/,
    message: 'this bracket closes nothing; remove it',
  },
  {
    codes: ['UNEXPECTED_TOKEN'],
    detail: /^Unexpected (?:,|empty item)/,
    message: 'there is nothing before this comma; remove it',
  },
  {
    codes: ['UNEXPECTED_TOKEN'],
    detail: /^Block scalar|^Not a YAML token/,
    message:
      'a string after "|" or ">" begins on the next line; a string that begins with one of them needs quotes',
  },
  {
    codes: ['UNEXPECTED_TOKEN'],
    line: /["'].*["']/,
    message: 'text follows a closing quote; remove it, or quote it all',
  },
  { codes: ['UNEXPECTED_TOKEN'], message: MISALIGNED, at: firstOfLine },
];

/** A fault in plain words. */
export interface Fault {
  readonly message: string;
  readonly offset: number;
}

export function describeFault(source: Source, { code, detail, offset }: SyntaxFault): Fault {
  const line = lineAt(source.text, offset);
  const rule = RULES.find(
    (each) =>
      (each.codes?.includes(code) ?? true) &&
      (each.detail?.test(detail) ?? true) &&
      (each.line?.test(line) ?? true),
  );
  const character = source.text.charAt(offset);
  const message = rule?.message
    .replace('$1', rule.line?.exec(line)?.[1] ?? '')
    .replace('$&', () => character);
  return {
    message: message ?? 'something here does not belong',
    offset: rule?.at?.(source, offset) ?? offset,
  };
}

function lineAt(text: string, offset: number): string {
  const end = text.indexOf('\n', offset);
  return text.slice(text.lastIndexOf('\n', offset - 1) + 1, end === -1 ? undefined : end);
}

function firstOfLine({ text }: Source, offset: number): number {
  const line = lineAt(text, offset);
  return text.lastIndexOf('\n', offset - 1) + 1 + line.length - line.trimStart().length;
}

function nextLine(source: Source, offset: number): number {
  const end = source.text.indexOf('\n', offset);
  return end === -1 ? offset : firstOfLine(source, end + 1);
}

/** The parser notices at the end of the text. */
function openingQuote({ document }: Source, offset: number): number {
  let opening = offset;
  visit(document, {
    Scalar(_key, { range, type }) {
      if (range && (type === 'QUOTE_DOUBLE' || type === 'QUOTE_SINGLE') && range[1] >= offset)
        opening = range[0];
    },
  });
  return opening;
}

/** The innermost of those that reach as far. */
function openingBracket({ document }: Source, offset: number): number {
  let opening = offset;
  visit(document, {
    Collection(_key, { flow, range }) {
      if (range && flow === true && range[0] < offset && range[1] >= offset) opening = range[0];
    },
  });
  return opening;
}
