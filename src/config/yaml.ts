/** Parses YAML without ever quoting it in a message, since a line may contain a secret. */
import { type Document, isScalar, LineCounter, parseDocument, visit } from 'yaml';
import { limitProblems, type Problem } from './config.ts';
import { isRawObject, type RawObject } from './env.ts';

/** Some 2,000 routes. Parsing blocks checks: hostile text of this size takes about as long as a slow poll. */
export const MAX_YAML_BYTES = 128 * 1024;

/** Returns the mapping (an empty one for an empty text), or `undefined` after adding to `problems`. */
export function readYaml(text: string, problems: Problem[]): RawObject | undefined {
  if (Buffer.byteLength(text) > MAX_YAML_BYTES) {
    problems.push({ path: 'configuration file', message: `is over ${MAX_YAML_BYTES} bytes` });
    return undefined;
  }
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
  const faults = [...document.errors, ...document.warnings].map(({ code, pos }) => ({
    code,
    offset: pos[0],
  }));
  const found = new Map<string, Problem>();
  for (const { code, offset } of [...faults, ...findDuplicateKeys(document)]) {
    const { line, col } = lines.linePos(offset);
    const path = `line ${line}, column ${col}`;
    const message = `not valid YAML: ${code.toLowerCase().replaceAll('_', ' ')}`;
    // Deduplicated: each bracket left open is an error at the end of the text.
    found.set(path + message, { path, message });
  }
  for (const problem of limitProblems([...found.values(), ...findPrototypeKeys(document)]))
    problems.push(problem);
  if (problems.length > 0) return undefined;
  try {
    const content: unknown = document.toJS() ?? {};
    if (isRawObject(content)) return content;
    problems.push({ path: 'line 1', message: 'must be a mapping of fields' });
  } catch {
    problems.push({ path: 'line 1', message: 'not valid YAML: an alias or a merge key cannot be resolved' });
  }
  return undefined;
}

function findDuplicateKeys(document: Document): { code: string; offset: number }[] {
  const duplicates: { code: string; offset: number }[] = [];
  visit(document, {
    Map(_index, { items }) {
      const seen = new Set<unknown>();
      for (const { key } of items) {
        if (!isScalar(key)) continue;
        if (seen.has(key.value)) duplicates.push({ code: 'DUPLICATE_KEY', offset: key.range?.[0] ?? 0 });
        seen.add(key.value);
      }
    },
  });
  return duplicates;
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
