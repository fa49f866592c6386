/** Parses YAML without ever quoting it in a message, since a line may contain a secret. */
import { isScalar, LineCounter, parseDocument, visit } from 'yaml';
import type { Problem } from './config.ts';
import { isRawObject, type RawObject } from './env.ts';

/** Returns the mapping (an empty one for an empty text), or `undefined` after adding to `problems`. */
export function readYaml(text: string, problems: Problem[]): RawObject | undefined {
  const lines = new LineCounter();
  const document = parseDocument(text, {
    // Pretty errors quote the line.
    prettyErrors: false,
    lineCounter: lines,
    // Plain values only: a tag such as !!binary would create other objects.
    resolveKnownTags: false,
    // So that 1 and "1" are duplicates, and a list or mapping is not a key.
    stringKeys: true,
    // `<<`, as other tools do.
    merge: true,
  });
  const errors = new Map<string, Problem>();
  for (const { code, pos } of [...document.errors, ...document.warnings]) {
    const { line, col } = lines.linePos(pos[0]);
    const path = `line ${line}, column ${col}`;
    const message = `not valid YAML: ${code.toLowerCase().replaceAll('_', ' ')}`;
    // Deduplicated: each bracket left open is an error at the end of the text.
    errors.set(path + message, { path, message });
  }
  problems.push(...errors.values());
  visit(document, {
    Pair(_index, { key }) {
      // In JavaScript that sets the prototype, not a field.
      if (isScalar(key) && key.value === '__proto__')
        problems.push({ path: '__proto__', message: 'unknown field' });
    },
  });
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
