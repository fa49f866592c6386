/** Owns rendering the Helm chart with values, as the objects that it makes. */
import { cpSync, mkdtempSync, readdirSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { parse } from 'yaml';
import { runTool, runToolOrThrow } from './platform-tool.ts';
import { parseObjects, type SampleObject, sampleFolder } from './sample-files.ts';

export const CHART = sampleFolder('helm/approov-ext-authz');
export const RELEASE = 'approov-ext-authz';

type Values = Readonly<Record<string, unknown>>;

/** The values files in the chart's ci folder: each a way to use it. */
export const VALUES_FILES: readonly string[] = readdirSync(join(CHART, 'ci')).sort();

export function valuesFile(file: string): string {
  return join(CHART, 'ci', file);
}

/** What `helm template` prints for these values files or values. */
export function renderText(...values: readonly (string | Values)[]): Promise<string> {
  return withValues(values, (options) =>
    runToolOrThrow('helm', ['template', RELEASE, CHART, '--namespace', 'approov', ...options]),
  );
}

/** The objects by kind; the chart makes at most one of each. */
export async function render(
  ...values: readonly (string | Values)[]
): Promise<ReadonlyMap<string, SampleObject>> {
  const objects = parseObjects(await renderText(...values), 'helm template').filter(
    (object) => object !== null,
  );
  const byKind = new Map(objects.map((object) => [object.kind ?? '', object]));
  if (byKind.size !== objects.length) throw new Error('the chart makes several objects of one kind');
  return byKind;
}

export function podOf(objects: ReadonlyMap<string, SampleObject>) {
  return objects.get('Deployment')?.['spec'].template.spec;
}

/** The service's own container. */
export function containerOf(objects: ReadonlyMap<string, SampleObject>) {
  return podOf(objects).containers[0];
}

/** The configuration file that the pods read. */
export function configOf(objects: ReadonlyMap<string, SampleObject>): string {
  return objects.get('ConfigMap')?.['data']['config.yaml'];
}

/** What helm says against values; nothing if it takes them. */
export function refusal(values: string | Values): Promise<string> {
  return withValues([values], async (options) => {
    const { code, output } = await runTool('helm', ['template', RELEASE, CHART, ...options]);
    return code === 0 ? '' : output;
  });
}

/** What `helm install` would say in the end. It asks a cluster first; a copy of the chart says it in an object instead. */
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

/** Calls with the options that hand values over: files by path, others in a file of their own. */
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
