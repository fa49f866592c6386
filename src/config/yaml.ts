/** Parses YAML without ever quoting it in a message, since a line may contain a secret. */
import { type Document, isMap, isScalar, LineCounter, parseDocument, visit } from 'yaml';
import { looksLikeSecret } from '../approov/secret.ts';
import { limitProblems, type Problem } from './config.ts';
import { isRawObject, type RawObject } from './env.ts';
import { missingSpace } from './issue-messages.ts';
import { printableName } from './shape-problems.ts';
import { describeFault, type Fault, type SyntaxFault } from './yaml-messages.ts';

/** Some 2,000 routes. Parsing blocks checks: hostile text of this size takes about as long as a slow poll. */
export const MAX_YAML_BYTES = 128 * 1024;

/** The path of a problem of the file as a whole. */
export const WHOLE_FILE = 'configuration file';

/** Returns the mapping (an empty one for an empty text), or `undefined` after adding to `problems`. */
export function readYaml(text: string, problems: Problem[]): RawObject | undefined {
  if (Buffer.byteLength(text) > MAX_YAML_BYTES) {
    problems.push({ path: WHOLE_FILE, message: `is over ${MAX_YAML_BYTES} bytes` });
    return undefined;
  }
  const { document, lines } = parseYaml(text);
  for (const problem of limitProblems(syntaxProblems({ text, document }, lines))) problems.push(problem);
  return problems.length > 0 ? undefined : readContent(document, lines, problems);
}

interface ParsedYaml {
  readonly document: Document.Parsed;
  readonly lines: LineCounter;
}

export function parseYaml(text: string): ParsedYaml {
  const lines = new LineCounter();
  const document = parseDocument(text, {
    // Pretty errors quote the line.
    prettyErrors: false,
    lineCounter: lines,
    // Plain values only: a tag such as !!binary would create other objects.
    resolveKnownTags: false,
    // So that 1 and "1" are duplicates, and a list or mapping is not a key.
    stringKeys: true,
    // Found below: the library compares every key with every other.
    uniqueKeys: false,
    // `<<`, as other tools do.
    merge: true,
  });
  return { document, lines };
}

interface Source {
  readonly text: string;
  readonly document: Document;
}

/** More are not read, and describing one may take a walk through the document. */
const MAX_DESCRIBED = 50;

function syntaxProblems(source: Source, lines: LineCounter): readonly Problem[] {
  const { document } = source;
  const noticed = [...document.errors, ...document.warnings].map(({ code, message, pos }) => ({
    code,
    detail: message,
    offset: pos[0],
  }));
  const faults = firstOfEachLine([...noticed, ...findUnknownAliases(document)], lines);
  const described = faults.slice(0, MAX_DESCRIBED).map((fault) => describeFault(source, fault));
  const found = [...described, ...findDuplicateKeys(document, lines)].map(({ message, offset }) => ({
    path: placeOf(offset, lines),
    message: `not valid YAML: ${message}`,
  }));
  return [...found, ...findPrototypeKeys(document)];
}

/** The others follow from it. */
function firstOfEachLine<T extends { readonly offset: number }>(
  faults: readonly T[],
  lines: LineCounter,
): T[] {
  const first = new Map<number, T>();
  for (const fault of faults) {
    const { line } = lines.linePos(fault.offset);
    if (!first.has(line)) first.set(line, fault);
  }
  return [...first.values()];
}

/** In the form that {@link placeProblems} turns into a place in the file. */
function placeOf(offset: number, lines: LineCounter): string {
  const { line, col } = lines.linePos(offset);
  return `line ${line}, column ${col}`;
}

function readContent(document: Document, lines: LineCounter, problems: Problem[]): RawObject | undefined {
  try {
    const content: unknown = document.toJS() ?? {};
    if (isRawObject(content)) return content;
    problems.push({ path: 'line 1', message: notMapping(content) });
  } catch (error) {
    const isMerge = error instanceof Error && error.message.startsWith('Merge');
    const message = isMerge
      ? 'a merge key ("<<") takes an alias of a mapping, such as "<<: *shared"'
      : 'the aliases ("*") refer to themselves, or expand to too many values; write them out';
    const offset = isMerge ? firstBadMerge(document) : firstAlias(document);
    problems.push({ path: placeOf(offset, lines), message: `not valid YAML: ${message}` });
  }
  return undefined;
}

function notMapping(content: unknown): string {
  if (typeof content === 'string' && looksLikeSecret(content))
    return 'looks like a secret: name its file in APPROOV_BASE64_SECRET_FILE, or in keys[].secretFile of this file';
  const missing = typeof content === 'string' ? missingSpace(content) : undefined;
  const kind = Array.isArray(content) ? 'a list' : 'a single value';
  return `must be a mapping of fields, not ${kind}; ${missing ?? 'for example policies: {default: {mode: observe}}'}`;
}

function findDuplicateKeys(document: Document, lines: LineCounter): Fault[] {
  const duplicates: Fault[] = [];
  visit(document, {
    Map(_index, { items }) {
      const seen = new Map<unknown, number>();
      for (const { key } of items) {
        if (!isScalar(key)) continue;
        const offset = key.range?.[0] ?? 0;
        const first = seen.get(key.value);
        if (first === undefined) seen.set(key.value, offset);
        else {
          const message = `${printableName(String(key.value))} is given twice, first in line ${lines.linePos(first).line}; keep one`;
          duplicates.push({ message, offset });
        }
      }
    },
  });
  return duplicates;
}

/** An anchor must come before its aliases. */
function findUnknownAliases(document: Document): SyntaxFault[] {
  const anchors = new Set<string>();
  const faults: SyntaxFault[] = [];
  visit(document, {
    Value(_key, { anchor }) {
      if (anchor !== undefined) anchors.add(anchor);
    },
    Alias(_key, { source, range }) {
      if (!anchors.has(source)) faults.push({ code: 'BAD_ALIAS', detail: '', offset: range?.[0] ?? 0 });
    },
  });
  return faults;
}

function firstAlias(document: Document): number {
  let first: number | undefined;
  visit(document, {
    Alias(_key, { range }) {
      first = range?.[0];
      return visit.BREAK;
    },
  });
  return first ?? 0;
}

function firstBadMerge(document: Document): number {
  let first: number | undefined;
  visit(document, {
    Pair(_key, { key, value }) {
      if (!isScalar(key) || key.value !== '<<' || isMap(value)) return undefined;
      first = key.range?.[0];
      return visit.BREAK;
    },
  });
  return first ?? 0;
}

/** In JavaScript `__proto__` sets the prototype, not a field. */
function findPrototypeKeys(document: Document): Problem[] {
  const problems: Problem[] = [];
  visit(document, {
    Pair(_index, { key }) {
      if (isScalar(key) && key.value === '__proto__')
        problems.push({ path: '__proto__', message: 'unknown field' });
    },
  });
  return problems;
}
