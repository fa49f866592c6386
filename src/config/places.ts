/** Finds where in the configuration file a problem is. */
import { isMap, isScalar, isSeq, type Node } from 'yaml';
import type { Problem } from './config.ts';
import { printableName } from './shape-problems.ts';
import { MAX_YAML_BYTES, parseYaml, WHOLE_FILE } from './yaml.ts';

/** More are not read, and each takes a walk through the file. */
const MAX_PLACED = 50;

/**
 * Adds to each problem the file, line and column, unless it is not about the file. Sorted by place; problems without
 * one, such as those of environment variables, come last.
 * @param text of the file.
 */
export function placeProblems(file: string, text: string, problems: readonly Problem[]): readonly Problem[] {
  if (problems.length === 0) return problems;
  if (Buffer.byteLength(text) > MAX_YAML_BYTES)
    return problems.map((problem) =>
      problem.path === WHOLE_FILE ? { ...problem, place: file, path: '' } : problem,
    );
  const { document, lines } = parseYaml(text);
  const placed = problems.map((problem, index) => {
    // A syntax error has its place as its path.
    const syntax = /^line (\d+)(?:, column (\d+))?$/.exec(problem.path);
    if (syntax !== null) return at(Number(syntax[1]), Number(syntax[2] ?? 1), { ...problem, path: '' });
    const offset = index < MAX_PLACED ? offsetOf(document.contents, problem) : undefined;
    if (offset === undefined) return { problem, line: Infinity, column: 0 };
    const { line, col } = lines.linePos(offset);
    return at(line, col, problem);
  });
  return placed
    .sort((one, other) => (one.line === other.line ? one.column - other.column : one.line - other.line))
    .map(({ problem }) => problem);

  function at(line: number, column: number, problem: Problem) {
    return { problem: { ...problem, place: `${file}:${line}:${column}` }, line, column };
  }
}

/** Of the value, or of the key if that is the problem; of the closest part around it if a field is missing. */
function offsetOf(root: Node | null, { path, message }: Problem): number | undefined {
  const isAboutKey = /^(?:unknown field|the name )/.test(message);
  let node: unknown = root;
  let rest = path;
  let offset: number | undefined;
  while (rest !== '') {
    const step = isMap(node)
      ? fieldStep(node.items, rest)
      : isSeq(node)
        ? itemStep(node.items, rest)
        : undefined;
    if (step === undefined) return offset;
    offset =
      (isAboutKey && step.rest === '' ? undefined : startOf(step.value)) ?? startOf(step.key) ?? offset;
    if (step.rest !== '' || isAboutKey) offset = startOf(step.key) ?? offset;
    ({ value: node, rest } = step);
  }
  return offset;
}

interface PathStep {
  readonly key: unknown;
  readonly value: unknown;
  /** What follows in the path. */
  readonly rest: string;
}

/** The names are compared as they are printed, because the path may hide one that looks like a secret. */
function fieldStep(
  items: readonly { readonly key: unknown; readonly value: unknown }[],
  path: string,
): PathStep | undefined {
  let best: PathStep | undefined;
  for (const { key, value } of items) {
    const name = isScalar(key) ? printableName(String(key.value)) : undefined;
    if (name === undefined || !path.startsWith(name)) continue;
    const rest = path.slice(name.length);
    if (!/^(?:$|[.[])/.test(rest)) continue;
    // The longest: a name may have a dot.
    if (best === undefined || rest.length < best.rest.length)
      best = { key, value, rest: rest.replace(/^\./, '') };
  }
  return best;
}

function itemStep(items: readonly unknown[], path: string): PathStep | undefined {
  const match = /^\[(\d+)\]\.?/.exec(path);
  const item = items[Number(match?.[1])];
  return match === null || item === undefined
    ? undefined
    : { key: item, value: item, rest: path.slice(match[0].length) };
}

function startOf(node: unknown): number | undefined {
  return (node as { readonly range?: readonly number[] | null } | null)?.range?.[0];
}
