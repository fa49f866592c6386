/** Owns reading YAML without ever quoting it, since a line may hold what is secret. */
import { isScalar, LineCounter, parseDocument, visit } from 'yaml';
import type { Problem } from './config.ts';
import { isRawObject, type RawObject } from './env.ts';

/** The mapping that a text holds (an empty text is an empty one), or `undefined` and what is wrong with it. */
export function readYaml(text: string, problems: Problem[]): RawObject | undefined {
  const lines = new LineCounter();
  // Without `prettyErrors: false` a message would quote the line, which may hold what is secret.
  const document = parseDocument(text, {
    prettyErrors: false,
    lineCounter: lines,
    // Nothing but plain values: a tag such as !!binary would make objects of other kinds.
    resolveKnownTags: false,
    // As written, so that 1 and "1" are one name, given twice, and no list or mapping is a name at all.
    stringKeys: true,
    // `<<`, which other tools take too.
    merge: true,
  });
  const faults = new Map<string, Problem>();
  for (const { code, pos } of [...document.errors, ...document.warnings]) {
    const { line, col } = lines.linePos(pos[0]);
    const path = `line ${line}, column ${col}`;
    const message = `not valid YAML: ${code.toLowerCase().replaceAll('_', ' ')}`;
    // One for all: where several brackets are left open, each is a fault at the end.
    faults.set(path + message, { path, message });
  }
  problems.push(...faults.values());
  visit(document, {
    Pair(_index, { key }) {
      // Which JavaScript would take for something else than a field.
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
