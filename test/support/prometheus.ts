/** Reads rules, dashboard and metrics: which metrics and labels a PromQL expression names, and which the service exposes. */
import { readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { expect } from 'vitest';
import { parse, stringify } from 'yaml';
import { createCheckClient, requestWith } from './grpc-client.ts';
import { runTool } from './platform-tool.ts';
import { type RunningService, startServe } from './process.ts';
import { program } from './requirement.ts';
import { freshToken, mintToken, SECRET } from './token.ts';

export const PROMETHEUS_FOLDER = fileURLToPath(new URL('../../deploy/prometheus/', import.meta.url));
export const RULES = `${PROMETHEUS_FOLDER}rules.yaml`;
export const RULE_TESTS = readdirSync(PROMETHEUS_FOLDER)
  .filter((name) => name.endsWith('.test.yaml'))
  .map((name) => PROMETHEUS_FOLDER + name);
const RUNBOOK = fileURLToPath(new URL('../../docs/runbook.md', import.meta.url));
const DASHBOARD = fileURLToPath(new URL('../../deploy/grafana/dashboard.json', import.meta.url));

/** Labels that Prometheus adds to what it scrapes. */
const TARGET_LABELS = ['cluster', 'job', 'instance', 'namespace'];

const SOURCE = 'a release of Prometheus, or the package prometheus of Debian or Homebrew';
export const PROMTOOL = program('promtool', ['--version'], SOURCE);
export const PROMETHEUS = program('prometheus', ['--version'], SOURCE);

/** Asserts that promtool finds nothing wrong with queries, as rules in a file of a folder. */
export async function expectPromQl(queries: readonly string[], folder: string): Promise<void> {
  const file = join(folder, 'queries.yaml');
  const rules = queries.map((expr, index) => ({ record: `query${index}`, expr }));
  writeFileSync(file, stringify({ groups: [{ name: 'queries', rules }] }));
  const check = await runTool('promtool', ['check', 'rules', '--lint=all', '--lint-fatal', file]);
  const output = expect.stringContaining(`SUCCESS: ${queries.length} rules found`);
  expect(check).toEqual({ code: 0, output });
}

export interface Rule {
  readonly expr: string;
  readonly record?: string;
  readonly alert?: string;
  readonly for?: string;
  readonly labels?: Readonly<Record<string, string>>;
  readonly annotations?: Readonly<Record<string, string>>;
}

export function readRules(): Rule[] {
  const { groups } = parse(readFileSync(RULES, 'utf8')) as { groups: { rules: Rule[] }[] };
  return groups.flatMap(({ rules }) => rules);
}

export interface Target {
  readonly refId: string;
  readonly expr: string;
  /** A template with {{label}}, or `__auto`. */
  readonly legendFormat: string;
  readonly datasource: { readonly type: string; readonly uid: string };
}

export interface Link {
  readonly title: string;
  readonly url: string;
}

export interface Panel {
  readonly id: number;
  readonly type: string;
  readonly title: string;
  readonly description?: string;
  readonly datasource?: { readonly type: string; readonly uid: string };
  readonly gridPos: { readonly x: number; readonly y: number; readonly w: number; readonly h: number };
  readonly links?: readonly Link[];
  readonly options?: Readonly<Record<string, unknown>>;
  readonly fieldConfig?: { readonly defaults: { readonly noValue?: string } };
  readonly targets?: readonly Target[];
  /** Of a row. */
  readonly collapsed?: boolean;
  readonly panels?: readonly Panel[];
}

export interface Variable {
  readonly name: string;
  readonly type: string;
  readonly query: unknown;
  readonly definition?: string;
  readonly regex?: string;
}

export interface Annotation {
  readonly name: string;
  readonly datasource: { readonly type: string; readonly uid: string };
  readonly builtIn?: number;
  readonly target?: { readonly expr: string };
  readonly titleFormat?: string;
  readonly textFormat?: string;
  readonly tagKeys?: string;
}

export interface Dashboard {
  readonly links: readonly Link[];
  readonly panels: readonly Panel[];
  readonly templating: { readonly list: readonly Variable[] };
  readonly annotations: { readonly list: readonly Annotation[] };
}

export function readDashboard(): Dashboard {
  return JSON.parse(readFileSync(DASHBOARD, 'utf8')) as Dashboard;
}

/** Every panel but the rows, those in collapsed rows included. */
export function chartsOf({ panels }: Dashboard): Panel[] {
  return panels
    .flatMap(({ panels: inRow = [], ...panel }) => [panel, ...inRow])
    .filter(({ type }) => type !== 'row');
}

export function queriesOf(dashboard: Dashboard): string[] {
  return chartsOf(dashboard).flatMap(({ targets = [] }) => targets.map(({ expr }) => expr));
}

/** A dashboard expression as Prometheus receives it, with the variables given and the others set to all. */
export function withoutVariables(expr: string, chosen: Readonly<Record<string, string>> = {}): string {
  return expr
    .replaceAll('$__rate_interval', chosen['__rate_interval'] ?? '1m')
    .replaceAll('$__range', '6h')
    .replaceAll(/\$(cluster|namespace|job|instance|policy)\b/g, (_, name: string) => chosen[name] ?? '.*');
}

/** The text of each section of the runbook, by heading. */
export function runbookSections(): ReadonlyMap<string, string> {
  const [, ...sections] = readFileSync(RUNBOOK, 'utf8').split(/^## /m);
  return new Map(
    sections.map((section) => {
      const [heading = '', ...lines] = section.split('\n');
      return [heading, lines.join('\n')];
    }),
  );
}

/** Every Envoy metric that the runbook lists. */
export function documentedEnvoyNames(): string[] {
  const section = runbookSections().get("Names of Envoy's metrics") ?? '';
  return [...section.matchAll(/`(envoy_\w+)`/g)].map(([, name = '']) => name);
}

/** The labels of each metric and their values. A metric without samples has none. */
export type Exposition = ReadonlyMap<string, ReadonlyMap<string, ReadonlySet<string>>>;

/** Parses the text format. The series of a histogram are listed under their own names, even without samples. */
export function parseExposition(text: string): Exposition {
  const metrics = new Map<string, Map<string, Set<string>>>();
  const labelsOf = (name: string): Map<string, Set<string>> => {
    const labels = metrics.get(name) ?? new Map<string, Set<string>>();
    metrics.set(name, labels);
    return labels;
  };
  for (const line of text.split('\n')) {
    const [, name = '', type] = /^# TYPE (\S+) (\S+)$/.exec(line) ?? [];
    if (type === 'histogram') for (const suffix of ['_bucket', '_sum', '_count']) labelsOf(name + suffix);
    else if (type !== undefined) labelsOf(name);
    const [, sample, pairs = ''] = /^([a-zA-Z_:][\w:]*)(?:\{(.*)\})? \S+$/.exec(line) ?? [];
    if (sample === undefined) continue;
    const labels = labelsOf(sample);
    for (const [, label = '', value = ''] of pairs.matchAll(/(\w+)="((?:[^"\\]|\\.)*)"/g)) {
      labels.set(label, (labels.get(label) ?? new Set()).add(value));
    }
  }
  return metrics;
}

export interface Matcher {
  readonly label: string;
  readonly operator: '=' | '!=' | '=~' | '!~';
  readonly value: string;
}

/** A metric with its matchers; without a `name` where `__name__` is matched. */
export interface Selector {
  readonly name: string | undefined;
  readonly matchers: readonly Matcher[];
}

const KEYWORDS = new Set(['and', 'or', 'unless', 'offset', 'bool', 'inf', 'nan']);

/** The selectors of a PromQL expression. */
export function selectorsIn(expr: string): Selector[] {
  const braces: string[] = [];
  const plain = expr
    .replaceAll(/\{((?:[^{}"]|"(?:[^"\\]|\\.)*")*)\}/g, (_, inner: string) => `{${braces.push(inner) - 1}}`)
    .replaceAll(/\b(by|without|on|ignoring|group_left|group_right)\s*\([^)]*\)/g, ' ')
    .replaceAll(/\[[^\]]*\]/g, ' ')
    .replaceAll(/\boffset\s+\w+/g, ' ');
  const pattern = /(?<![\w:])([a-zA-Z_:][\w:]*)?(?:\{(\d+)\})|(?<![\w:])([a-zA-Z_:][\w:]*)(?![\w:]*\s*[({])/g;
  return [...plain.matchAll(pattern)]
    .map(([, named, index, bare]) => ({
      name: named ?? bare,
      matchers: index === undefined ? [] : parseMatchers(braces[Number(index)] ?? ''),
    }))
    .filter(({ name }) => name === undefined || !KEYWORDS.has(name.toLowerCase()));
}

function parseMatchers(text: string): Matcher[] {
  return [...text.matchAll(/(\w+)\s*(=~|!~|!=|=)\s*("(?:[^"\\]|\\.)*")/g)].map(
    ([, label, operator, value]) => ({
      label: label ?? '',
      operator: operator as Matcher['operator'],
      value: JSON.parse(value ?? '""') as string,
    }),
  );
}

/** The names that a selector matches. */
export function namesPicked(selector: Selector, names: readonly string[]): string[] {
  if (selector.name !== undefined) return names.filter((name) => name === selector.name);
  const matchers = selector.matchers.filter(({ label }) => label === '__name__');
  return names.filter((name) => matchers.every((matcher) => matches(matcher, name)));
}

function matches({ operator, value }: Matcher, text: string): boolean {
  const isMatch = operator.endsWith('~') ? new RegExp(`^(?:${value})$`).test(text) : text === value;
  return operator.startsWith('!') ? !isMatch : isMatch;
}

/** Describes each metric, label or label value in an expression that does not exist. */
export function unknownIn(
  expr: string,
  known: {
    readonly exposition: Exposition;
    readonly envoy: readonly string[];
    readonly recorded: readonly string[];
  },
): string[] {
  return selectorsIn(expr).flatMap((selector) => {
    const shown = selector.name ?? JSON.stringify(selector.matchers);
    const labels = selector.name === undefined ? undefined : known.exposition.get(selector.name);
    if (labels !== undefined) return unknownLabels(selector, labels);
    const isKnown =
      ['up', 'ALERTS'].includes(selector.name ?? '') ||
      namesPicked(selector, [...known.envoy, ...known.recorded]).length > 0;
    return isKnown ? [] : [`no metric ${shown}`];
  });
}

function unknownLabels(
  { name, matchers }: Selector,
  labels: ReadonlyMap<string, ReadonlySet<string>>,
): string[] {
  // Without samples there are no labels to compare with.
  if (labels.size === 0) return [];
  return matchers
    .filter(({ label }) => !TARGET_LABELS.includes(label))
    .flatMap(alternatives)
    .filter((matcher) => ![...(labels.get(matcher.label) ?? [])].some((value) => matches(matcher, value)))
    .map(({ label, operator, value }) => `${name} has no ${label}${operator}"${value}"`);
}

/** One matcher per alternative of `a|b`, so that a known value does not hide an unknown one. */
function alternatives(matcher: Matcher): Matcher[] {
  if (matcher.operator !== '=~' || !/^[\w|]+$/.test(matcher.value)) return [matcher];
  return matcher.value.split('|').map((value) => ({ ...matcher, value }));
}

/** Starts the service and sends checks of every kind that rules and dashboard query: each mode, valid and invalid tokens. */
export async function startSeasonedService(configFile: string): Promise<RunningService> {
  const service = await startServe({ APPROOV_BASE64_SECRET: SECRET }, ['--config', configFile]);
  const expired = mintToken({ exp: Math.floor(Date.now() / 1000) - 60 });
  const tokens = [freshToken(), freshToken(), 'not.a.token', expired, ''];
  const policies = ['default', 'trial', 'search', 'open', 'not-configured'];
  await sendChecks(service, Object.fromEntries(policies.map((policy) => [policy, tokens])));
  return service;
}

/** Sends a check with each token under a policy, and one more that does not decode. */
export async function sendChecks(
  { grpc }: Pick<RunningService, 'grpc'>,
  tokensByPolicy: Readonly<Record<string, readonly string[]>>,
): Promise<void> {
  const client = createCheckClient(grpc);
  try {
    for (const [policy, tokens] of Object.entries(tokensByPolicy)) {
      for (const token of tokens) {
        const request = requestWith({ 'approov-token': token, 'approov-status': 'no_network' });
        const attributes = request['attributes'] as Readonly<Record<string, unknown>>;
        await client.check({ attributes: { ...attributes, context_extensions: { approov_policy: policy } } });
      }
    }
    // Does not decode: an internal error without a policy.
    await client.checkBytes(Buffer.from([0xff]));
  } finally {
    client.close();
  }
}

/** A configuration with one policy per mode. */
export const SEASONED_CONFIG = `policies:
  default: {mode: enforce}
  trial: {mode: observe}
  search: {mode: limit}
  open: {mode: off}
`;
