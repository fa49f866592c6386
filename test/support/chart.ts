/** Renders the Helm chart with given values into Kubernetes objects. */
import { cpSync, mkdtempSync, readdirSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { parse } from 'yaml';
import { runTool, runToolOrThrow } from './platform-tool.ts';
import { parseObjects, type SampleObject, sampleFolder } from './sample-files.ts';

export const CHART = sampleFolder('helm/approov-ext-authz');
export const RELEASE = 'approov-ext-authz';

type Values = Readonly<Record<string, unknown>>;

/** The values files in the chart's ci folder, one per way of using the chart. */
export const VALUES_FILES: readonly string[] = readdirSync(join(CHART, 'ci')).sort();

export function valuesFile(file: string): string {
  return join(CHART, 'ci', file);
}

/** By the values, as many tests look at the same objects, and the chart does not change while tests run. */
const rendered = new Map<string, Promise<string>>();

/** What `helm template` prints for these values files or values. */
export function renderText(...values: readonly (string | Values)[]): Promise<string> {
  const key = JSON.stringify(values);
  const text =
    rendered.get(key) ??
    withValues(values, (options) =>
      runToolOrThrow('helm', ['template', RELEASE, CHART, '--namespace', 'approov', ...options]),
    );
  rendered.set(key, text);
  return text;
}

/** The objects by kind; the chart renders at most one of each. */
export async function render(
  ...values: readonly (string | Values)[]
): Promise<ReadonlyMap<string, SampleObject>> {
  const objects = parseObjects(await renderText(...values), 'helm template').filter(
    (object) => object !== null,
  );
  const byKind = new Map(objects.map((object) => [object.kind ?? '', object]));
  if (byKind.size !== objects.length) throw new Error('the chart renders several objects of one kind');
  return byKind;
}

export function podOf(objects: ReadonlyMap<string, SampleObject>) {
  return objects.get('Deployment')?.['spec'].template.spec;
}

/** The container of the service. */
export function containerOf(objects: ReadonlyMap<string, SampleObject>) {
  return podOf(objects).containers[0];
}

/** The configuration file that the pods read. */
export function configOf(objects: ReadonlyMap<string, SampleObject>): string {
  return objects.get('ConfigMap')?.['data']['config.yaml'];
}

/** Helm's error for these values; empty if it accepts them. */
export function refusal(values: string | Values): Promise<string> {
  return withValues([values], async (options) => {
    const { code, output } = await runTool('helm', ['template', RELEASE, CHART, ...options]);
    return code === 0 ? '' : output;
  });
}

/** The notes that `helm install` would print. It needs a cluster for that, so a copy of the chart renders them in an object. */
export async function renderNotes(...values: readonly (string | Values)[]): Promise<string> {
  const folder = mkdtempSync(join(tmpdir(), 'chart-notes-'));
  try {
    cpSync(CHART, folder, { recursive: true });
    renameSync(join(folder, 'templates/NOTES.txt'), join(folder, 'notes.txt'));
    writeFileSync(
      join(folder, 'templates/notes.yaml'),
      'notes: {{ tpl (.Files.Get "notes.txt") . | toJson }}',
    );
    const text = await withValues(values, (options) =>
      runToolOrThrow('helm', [
        'template',
        RELEASE,
        folder,
        '--show-only',
        'templates/notes.yaml',
        ...options,
      ]),
    );
    return parse(text).notes;
  } finally {
    rmSync(folder, { recursive: true });
  }
}

/** Calls back with helm's `--values` options: files by path, inline values in a temporary file. */
async function withValues<T>(
  values: readonly (string | Values)[],
  call: (options: readonly string[]) => Promise<T>,
): Promise<T> {
  const folder = mkdtempSync(join(tmpdir(), 'chart-values-'));
  try {
    const files = values.map((value, index) => {
      if (typeof value === 'string') return value;
      const file = join(folder, `${index}.json`);
      writeFileSync(file, JSON.stringify(value));
      return file;
    });
    return await call(files.flatMap((file) => ['--values', file]));
  } finally {
    rmSync(folder, { recursive: true });
  }
}
