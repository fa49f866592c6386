/** Renders docs/conformance.md. */
import type { SECTIONS } from './rows.ts';

/** What was seen of a row with one version of Envoy. */
export interface Outcome {
  readonly holds: boolean;
  /** The row fails with a broken service. */
  readonly isSensitive: boolean;
}

type Outcomes = ReadonlyMap<string, ReadonlyMap<string, Outcome>>;

const INTRODUCTION = `# Conformance

What this service and its samples rely on in Envoy, and the versions in which it holds. \`npm run conformance\` writes
this page: it starts each version with [envoy.yaml](../envoy.yaml) (or a variant of it), the service, and an upstream
that reports what reached it. Each row is tested twice: once as is, and once with the service or configuration broken on
purpose, when the test must fail. *yes* means that both runs had the expected result.
`;

export function renderConformance(
  sections: typeof SECTIONS,
  versions: readonly string[],
  outcomes: Outcomes,
): string {
  const parts = sections.map(({ title, rows }) => {
    const header = `| what Envoy does | otherwise | ${versions.join(' | ')} |`;
    const line = `| --- | --- |${' --- |'.repeat(versions.length)}`;
    const lines = rows.map(({ behaviour, otherwise }) => {
      const cells = versions.map((version) => cellOf(outcomes.get(behaviour)?.get(version)));
      return `| ${[behaviour, otherwise, ...cells].join(' | ')} |`;
    });
    return `## ${title}\n\n${[header, line, ...lines].join('\n')}\n`;
  });
  return `${INTRODUCTION}\n${parts.join('\n')}`;
}

function cellOf(outcome: Outcome | undefined): string {
  if (outcome?.holds !== true) return '**no**';
  return outcome.isSensitive ? 'yes' : '**not shown**';
}
