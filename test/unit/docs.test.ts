/** Tests that the documentation says what the code says, and that its links lead somewhere. */
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { describe, expect, test } from 'vitest';
import { withFieldTables } from '../../scripts/config-schema.mjs';
import {
  CONTENT_ENCRYPTION_ALGORITHMS,
  KEY_MANAGEMENT_ALGORITHMS,
} from '../../src/approov/decryption-algorithm.ts';
import { REASONS } from '../../src/authz/reason.ts';
import { RESULT_HEADERS } from '../../src/authz/result-header.ts';
import { actionFor, MODES } from '../../src/authz/verdict.ts';
import { COMMANDS } from '../../src/commands/commands.ts';
import { configJsonSchema } from '../../src/config/json-schema.ts';
import { parseConfig } from '../../src/config/parse.ts';
import { FILE } from '../../src/config/schema.ts';
import { createMetrics } from '../../src/telemetry/metrics.ts';
import { createOverrideMetrics } from '../../src/telemetry/override-metrics.ts';
import { createWorkerRestarts } from '../../src/telemetry/primary-metrics.ts';
import { registerWouldDenyRatio } from '../../src/telemetry/rollout-metrics.ts';

const ROOT = fileURLToPath(new URL('../../', import.meta.url));
const PAGES = [
  'deploy/helm/approov-ext-authz/README.md',
  'packages/unary-grpc/README.md',
  ...readdirSync(ROOT).filter((name) => name.endsWith('.md')),
  ...readdirSync(join(ROOT, 'docs'), { recursive: true, encoding: 'utf8' })
    .filter((name) => name.endsWith('.md'))
    .map((name) => join('docs', name)),
];

function read(path: string): string {
  return readFileSync(join(ROOT, path), 'utf8');
}

/** The cells of the table rows whose first cell is code. */
function rowsOf(page: string): readonly (readonly string[])[] {
  return read(page)
    .split('\n')
    .filter((line) => line.startsWith('| `'))
    .map((line) =>
      line
        .slice(1, -1)
        .split('|')
        .map((cell) => cell.trim()),
    );
}

function rowOf(page: string, name: string): readonly string[] | undefined {
  return rowsOf(page).find(([first]) => first === `\`${name}\``);
}

/** The text between a heading and the next one of the same level. */
function sectionOf(page: string, heading: string): string {
  return (
    read(page)
      .split(/^## /m)
      .find((section) => section.startsWith(`${heading}\n`)) ?? ''
  );
}

describe('docs/reasons.md', () => {
  test.each(Object.entries(REASONS))('describes reason %s as the code does', (reason, row) => {
    expect(rowOf('docs/reasons.md', reason)).toEqual([`\`${reason}\``, row.verdict, row.meaning, row.remedy]);
  });

  test('lists the action of each mode and verdict', () => {
    for (const mode of MODES) {
      const [, verified, unverified, fault, skipped] = rowOf('docs/reasons.md', mode) ?? [];
      expect(skipped).toBe('allow');
      if (mode === 'off') continue;
      expect(verified).toBe(actionFor(mode, 'verified', false));
      expect(unverified).toBe(actionFor(mode, 'unverified', false));
      expect(fault?.split(' ')[0]).toBe(actionFor(mode, 'unverified', true));
    }
  });

  test('gives the number of result headers', () => {
    expect(RESULT_HEADERS).toHaveLength(9);
    expect(read('docs/reasons.md')).toContain('nine `x-approov-*` names');
  });
});

test('docs/metrics.md lists every metric with its labels, and no other', () => {
  const { registry } = createMetrics('1.2.3');
  createWorkerRestarts(registry);
  registerWouldDenyRatio(registry, () => []);
  createOverrideMetrics(registry, { policies: () => [], active: () => [] });
  const ours = registry.getMetricsAsArray().filter(({ name }) => name.startsWith('approov_'));
  const documented = rowsOf('docs/metrics.md')
    .filter(([first]) => first?.startsWith('`approov_'))
    .map(([name, labels]) => [
      name?.replaceAll('`', ''),
      labels
        ?.replaceAll('`', '')
        .split(', ')
        .filter((label) => label !== ''),
    ]);
  const labelsOf = (metric: unknown): readonly string[] => (metric as { labelNames: string[] }).labelNames;
  const actual = ours.map((metric) => [metric.name, [...labelsOf(metric)]]);
  expect(Object.fromEntries(documented)).toEqual(Object.fromEntries(actual));
});

describe('docs/configuration.md', () => {
  test('has an example file that the service accepts', () => {
    const [, example = ''] =
      /```yaml\n(.*?)```/s.exec(sectionOf('docs/configuration.md', 'Configuration file')) ?? [];
    const { config, problems } = parseConfig(example, {});
    expect(problems).toEqual([]);
    expect(config?.keys.map(({ id }) => id)).toEqual(['current']);
    expect(config?.policyTable.policies.get('default')?.mode).toBe('observe');
  });

  test('describes every field as the schema does', () => {
    const page = read('docs/configuration.md');
    expect(withFieldTables(page, configJsonSchema())).toBe(page);
  });

  test.each(fieldsOf(FILE))('has the field %s', (field) => {
    const section = sectionOf('docs/configuration.md', 'Configuration file');
    expect(section).toMatch(new RegExp(`^(?:\\| \`.*\\b|### \`)${field}\``, 'm'));
  });

  test('lists exactly the algorithms that a decryption key may be used with', () => {
    const section = sectionOf('docs/configuration.md', 'Encrypted tokens');
    const valuesOf = (field: string): readonly string[] =>
      section
        .split('\n')
        .filter((line) => line.startsWith(`| \`${field}\``))
        .flatMap((line) =>
          [...(line.split('|')[2] ?? '').matchAll(/`([^`]+)`/g)].map(([, value = '']) => value),
        );
    expect(valuesOf('keyManagementAlgorithms')).toEqual(KEY_MANAGEMENT_ALGORITHMS);
    expect(valuesOf('contentEncryptionAlgorithms')).toEqual(CONTENT_ENCRYPTION_ALGORITHMS);
  });
});

test('docs/commands.md lists every command', () => {
  const commands = [...COMMANDS.keys()];
  const documented = rowsOf('docs/commands.md').map(([first = '']) => /`([\w-]+)`/.exec(first)?.[1] ?? '');
  expect(commands.length).toBeGreaterThan(4);
  expect([...documented].sort()).toEqual(commands.sort());
});

describe('docs/commands.md', () => {
  const expected = (name: string): string => read(`test/unit/commands/explain/expected/${name}.txt`);

  test('shows what explain prints', () => {
    const [, example] = /```text\n(.*?)```/s.exec(sectionOf('docs/commands.md', 'explain')) ?? [];
    expect(example).toBe(expected('binding-without-bearer'));
  });

  test('describes every field of explain --json', () => {
    const section = sectionOf('docs/commands.md', 'explain');
    const { token, ...explanation } = JSON.parse(expected('json'));
    const fields = [...Object.keys(token), ...namesIn(explanation)];
    expect(fields.length).toBeGreaterThan(50);
    expect(fields.filter((name) => !section.includes(`\`${name}\``))).toEqual([]);
  });
});

/** The names of all members in a JSON value. */
function namesIn(value: unknown): readonly string[] {
  if (typeof value !== 'object' || value === null) return [];
  const names = Array.isArray(value) ? [] : Object.keys(value);
  return [...names, ...Object.values(value).flatMap(namesIn)];
}

describe('docs/architecture.md', () => {
  test('lists the layers of src/', () => {
    const layers = readdirSync(join(ROOT, 'src'), { withFileTypes: true }).map((entry) =>
      entry.isDirectory() ? `\`${entry.name}/\`` : `\`${entry.name}\``,
    );
    const listed = [...sectionOf('docs/architecture.md', 'Layers').matchAll(/^\| (`[^`]+`) \|/gm)].map(
      ([, name]) => name,
    );
    expect([...listed].sort()).toEqual(layers.sort());
  });

  test('lists every dependency', () => {
    const listed = [...sectionOf('docs/architecture.md', 'Dependencies').matchAll(/^\| (`.*?) \|/gm)].flatMap(
      ([, cell = '']) => [...cell.matchAll(/`([^`]+)`/g)].map(([, name]) => name),
    );
    const { dependencies, optionalDependencies } = JSON.parse(read('package.json')) as Record<string, object>;
    expect([...listed].sort()).toEqual(Object.keys({ ...dependencies, ...optionalDependencies }).sort());
  });
});

test('README.md gives the minimum version of Node in package.json', () => {
  const { engines } = JSON.parse(read('package.json')) as { engines: { node: string } };
  expect(read('README.md')).toContain(`Node ${engines.node.replace('>=', '≥ ')}`);
});

/** Targets of relative links, as paths from the root, with their anchors. */
function linksOf(page: string): readonly (readonly [path: string, anchor: string | undefined])[] {
  const text = read(page).replaceAll(/^( *)```.*?^\1```$/gms, '');
  return (
    [...text.matchAll(/\]\(([^)\s]+)\)/g)]
      .map(([, target = '']) => target)
      // GitHub's own pages of the repository, which are not files.
      .filter((target) => !/^[a-z]+:|^\.\.\/\.\.\/actions\//.test(target))
      .map((target) => {
        const [path = '', anchor] = target.split('#');
        return [path === '' ? page : join(dirname(page), path), anchor] as const;
      })
  );
}

test.each(PAGES)('the links of %s lead to files and headings that exist', (page) => {
  const broken = linksOf(page).filter(
    ([path, anchor]) =>
      !existsSync(join(ROOT, path)) || (anchor !== undefined && !anchorsOf(path).includes(anchor)),
  );
  expect(broken).toEqual([]);
});

test('docs/README.md links to every page of docs/', () => {
  const linked = linksOf('docs/README.md').map(([path]) => path);
  const pages = PAGES.filter((page) => page.startsWith('docs/') && page !== 'docs/README.md');
  expect(pages.length).toBeGreaterThan(10);
  expect(pages.filter((page) => !linked.includes(page))).toEqual([]);
});

test('docs/runbook.md leads from its first line to docs/troubleshooting.md', () => {
  const [, firstLine] = read('docs/runbook.md').split('\n\n');
  expect(firstLine).toContain('](troubleshooting.md)');
});

test('docs/troubleshooting.md says what to do about every reason of an unverified request', () => {
  const page = read('docs/troubleshooting.md');
  const reasons = Object.entries(REASONS).filter(([, { verdict }]) => verdict === 'unverified');
  expect(reasons.length).toBeGreaterThan(10);
  expect(reasons.map(([reason]) => reason).filter((reason) => !page.includes(`\`${reason}\``))).toEqual([]);
});

test.each(['README.md', 'CONTRIBUTING.md', 'docs/architecture.md'])(
  'the paths that %s mentions exist',
  (page) => {
    const paths = [...read(page).matchAll(/`((?:src|test|docs|deploy|scripts)\/[\w./-]*)`/g)];
    expect(paths.map(([, path = '']) => path).filter((path) => !existsSync(join(ROOT, path)))).toEqual([]);
  },
);

/** The anchors that GitHub gives to the headings of a page. */
function anchorsOf(page: string): readonly string[] {
  return [...read(page).matchAll(/^#+ (.+)$/gm)].map(([, heading = '']) =>
    heading
      .toLowerCase()
      .replaceAll(/[^\p{L}\p{N} _-]/gu, '')
      .replaceAll(' ', '-'),
  );
}

/** The names of all fields, of nested objects, lists and optional parts too. */
function fieldsOf(schema: unknown): readonly string[] {
  const { def } = schema as {
    def: { shape?: object; innerType?: unknown; element?: unknown; valueType?: unknown };
  };
  const shape = Object.entries(def.shape ?? {});
  return [
    ...shape.flatMap(([name, inner]) => [name, ...fieldsOf(inner)]),
    ...[def.innerType, def.element, def.valueType].filter((inner) => inner !== undefined).flatMap(fieldsOf),
  ];
}
