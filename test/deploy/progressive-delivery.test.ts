/** Tests the templates for Argo Rollouts and Flagger: their fields, their queries, and what their conditions decide. */
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { runInNewContext } from 'node:vm';
import { Ajv } from 'ajv';
import { afterAll, describe, expect, test } from 'vitest';
import { expectPromQl, PROMTOOL, readRules } from '../support/prometheus.ts';
import { unmet } from '../support/requirement.ts';
import { readSample } from '../support/sample-files.ts';

const withoutPromtool = await unmet([PROMTOOL], 'that the queries of the templates are PromQL');

const folder = mkdtempSync(join(tmpdir(), 'templates-'));
afterAll(() => rmSync(folder, { recursive: true }));

interface AnalysisTemplate {
  readonly metadata: { readonly name: string };
  readonly spec: {
    readonly args: readonly { readonly name: string; readonly value: string }[];
    readonly metrics: readonly {
      readonly successCondition: string;
      readonly failureCondition?: string;
      readonly provider: { readonly prometheus: { readonly address: string; readonly query: string } };
    }[];
  };
}

interface MetricTemplate {
  readonly metadata: { readonly name: string };
  readonly spec: { readonly query: string };
}

const ANALYSIS = readSample('argo-rollouts', 'analysis-templates.yaml') as unknown[] as AnalysisTemplate[];
const METRICS = readSample('flagger', 'metric-templates.yaml') as unknown[] as MetricTemplate[];

function schemaProblems(file: string, value: unknown): unknown {
  const path = fileURLToPath(new URL(`../support/crds/${file}`, import.meta.url));
  const validate = new Ajv({ allErrors: true, allowUnionTypes: true }).compile(
    JSON.parse(readFileSync(path, 'utf8')),
  );
  return validate(value) ? [] : validate.errors;
}

/** With its arguments put in. */
function filled(text: string, { args }: AnalysisTemplate['spec']): string {
  return args.reduce((result, { name, value }) => result.replaceAll(`{{args.${name}}}`, value), text);
}

function queryOf({ spec: { query } }: MetricTemplate): string {
  const values: Readonly<Record<string, string>> = {
    'variables.job': 'a',
    'variables.policy': 'b',
    interval: '1m',
  };
  return query.replace(/\{\{ ([\w.]+) \}\}/g, (whole, name: string) => values[name] ?? whole);
}

const QUERIES = [
  ...ANALYSIS.flatMap(({ spec }) =>
    spec.metrics.map(({ provider }) => filled(provider.prometheus.query, spec)),
  ),
  ...METRICS.map(queryOf),
];

describe('the templates for progressive delivery', () => {
  test.each(ANALYSIS.map((template) => [template.metadata.name, template] as const))(
    'have fields that Argo Rollouts accepts (%s)',
    (_name, template) => {
      expect(schemaProblems('analysis-template.json', template)).toEqual([]);
      const broken = { ...template, spec: { ...template.spec, metrics: [{ name: 'x' }] } };
      expect(schemaProblems('analysis-template.json', broken)).toMatchObject([
        { message: "must have required property 'provider'" },
      ]);
    },
  );

  test.each(METRICS.map((template) => [template.metadata.name, template] as const))(
    'have fields that Flagger accepts (%s)',
    (_name, template) => {
      expect(schemaProblems('metric-template.json', template)).toEqual([]);
      expect(schemaProblems('metric-template.json', { ...template, spec: {} })).toHaveLength(2);
    },
  );

  test.skipIf(withoutPromtool !== '')(`have queries that are PromQL${withoutPromtool}`, async () => {
    expect(QUERIES).toHaveLength(4);
    await expectPromQl(QUERIES, folder);
  });

  test('ask for series that the recording rules write, and have no argument left open', () => {
    const recorded = readRules().flatMap(({ record }) => record ?? []);
    const asked = QUERIES.flatMap((query) => query.match(/job_policy:[\w:]+/g) ?? []);
    expect(asked).toEqual(['job_policy:approov_rollout_safe:bool', 'job_policy:approov_rollout_safe:bool']);
    expect(recorded).toContain('job_policy:approov_rollout_safe:bool');
    expect(QUERIES.filter((query) => query.includes('{{'))).toEqual([]);
  });

  test.each<[result: readonly number[], phase: string]>([
    [[1], 'successful'],
    [[0], 'failed'],
    [[], 'inconclusive'],
  ])('decide of approov_rollout_safe %j that it is %s', (result, phase) => {
    const [template] = ANALYSIS;
    expect(phaseOf(template, result)).toBe(phase);
  });

  test.each<[result: readonly number[], phase: string]>([
    [[0.4], 'successful'],
    [[1], 'successful'],
    [[1.1], 'failed'],
    [[], 'successful'],
  ])('decide of a denied share of %j percent that it is %s', (result, phase) => {
    const [, template] = ANALYSIS;
    expect(phaseOf(template, result)).toBe(phase);
  });
});

/** As Argo Rollouts evaluates conditions; without a condition for failure, what is not a success is one. */
function phaseOf(template: AnalysisTemplate | undefined, result: readonly number[]): string {
  const metric = template?.spec.metrics[0];
  if (template === undefined || metric === undefined) throw new Error('no such metric');
  const holds = (condition: string): boolean =>
    Boolean(
      runInNewContext(filled(condition, template.spec), { result, len: (list: unknown[]) => list.length }),
    );
  const isSuccess = holds(metric.successCondition);
  if (metric.failureCondition === undefined ? !isSuccess : holds(metric.failureCondition)) return 'failed';
  return isSuccess ? 'successful' : 'inconclusive';
}
