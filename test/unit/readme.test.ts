/** Owns that the README's tables say what the code says. */
import { readFileSync } from 'node:fs';
import { describe, expect, test } from 'vitest';
import {
  CONTENT_ENCRYPTION_ALGORITHMS,
  KEY_MANAGEMENT_ALGORITHMS,
} from '../../src/approov/decryption-algorithm.ts';
import { REASONS } from '../../src/authz/reason.ts';
import { RESULT_HEADERS } from '../../src/authz/result-header.ts';
import { actionFor, MODES } from '../../src/authz/verdict.ts';
import { FILE } from '../../src/config/schema.ts';
import { createMetrics } from '../../src/telemetry/metrics.ts';
import { createWorkerRestarts } from '../../src/telemetry/process-metrics.ts';

const README = readFileSync(new URL('../../README.md', import.meta.url), 'utf8');

/** The rows of the tables whose first cell is code. */
const ROWS = README.split('\n')
  .filter((line) => line.startsWith('| `'))
  .map((line) =>
    line
      .slice(1, -1)
      .split('|')
      .map((cell) => cell.trim()),
  );

function rowOf(name: string): readonly string[] | undefined {
  return ROWS.find(([first]) => first === `\`${name}\``);
}

describe('the README', () => {
  test.each(Object.entries(REASONS))('tells reason %s as the table of reasons does', (reason, row) => {
    expect(rowOf(reason)).toEqual([`\`${reason}\``, row.verdict, row.meaning, row.remedy]);
  });

  test('has each metric with its labels, and none that is not there', () => {
    const { registry } = createMetrics('1.2.3');
    createWorkerRestarts(registry);
    const ours = registry.getMetricsAsArray().filter(({ name }) => name.startsWith('approov_'));
    const told = ROWS.filter(([first]) => first?.startsWith('`approov_')).map(([name, labels]) => [
      name?.replaceAll('`', ''),
      labels
        ?.replaceAll('`', '')
        .split(', ')
        .filter((label) => label !== ''),
    ]);
    const labelsOf = (metric: unknown): readonly string[] => (metric as { labelNames: string[] }).labelNames;
    const actual = ours.map((metric) => [metric.name, [...labelsOf(metric)]]);
    expect(Object.fromEntries(told)).toEqual(Object.fromEntries(actual));
  });

  test('has every field of the configuration', () => {
    const table = README.slice(README.indexOf('| field | means |'), README.indexOf('Which policy judges'));
    const fields = fieldsOf(FILE);
    expect(fields.length).toBeGreaterThan(50);
    for (const field of fields) expect(table, field).toContain(field);
  });

  test('has everything that a decryption key may be used with, and nothing else', () => {
    const section = README.slice(README.indexOf('### Encrypted tokens'), README.indexOf('## Reasons'));
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

  test('tells the action of each mode as the table of actions does', () => {
    for (const mode of MODES) {
      const [, verified, unverified, fault, skipped] = rowOf(mode) ?? [];
      expect(skipped).toBe('allow');
      if (mode === 'off') continue;
      expect(verified).toBe(actionFor(mode, 'verified', false));
      expect(unverified).toBe(actionFor(mode, 'unverified', false));
      expect(fault?.split(' ')[0]).toBe(actionFor(mode, 'unverified', true));
    }
  });

  test('counts the headers that are ours', () => {
    expect(RESULT_HEADERS).toHaveLength(9);
    expect(README).toContain('nine `x-approov-*` names');
  });
});

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
