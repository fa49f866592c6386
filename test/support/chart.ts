/** Owns rendering the Helm chart with values, as the objects that it makes. */
import { mkdtempSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
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

/** What helm says against values; nothing if it takes them. */
export function refusal(values: Values): Promise<string> {
  return withValues([values], async (options) => {
    const { code, output } = await runTool('helm', ['template', RELEASE, CHART, ...options]);
    return code === 0 ? '' : output;
  });
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
