/** The table of commands, and the help that is printed from it. */
import { VERSION } from '../version.ts';
import type { Command } from './command.ts';

export const PROGRAM = 'approov-ext-authz';
export const DEFAULT_COMMAND = 'serve';

interface CommandEntry {
  readonly summary: string;
  /** Only the command that runs is loaded, because probes run `healthcheck` every few seconds. */
  load(): Promise<Command>;
}

export const COMMANDS: ReadonlyMap<string, CommandEntry> = new Map([
  entry('serve', 'run the service (default)', async () => (await import('./serve.ts')).serve),
  entry(
    'check-config',
    'load configuration and keys as serve would; print the effective configuration, or every error',
    async () => (await import('./check-config.ts')).checkConfig,
  ),
  entry(
    'explain',
    'show step by step how serve would decide a request',
    async () => (await import('./explain.ts')).explain,
  ),
  entry(
    'mint',
    'sign an example token with a configured symmetric key; prints only the token',
    async () => (await import('./mint.ts')).mint,
  ),
  entry(
    'healthcheck',
    'check whether the running service is serving',
    async () => (await import('./healthcheck.ts')).healthcheck,
  ),
]);

function entry(name: string, summary: string, load: CommandEntry['load']): [string, CommandEntry] {
  return [name, { summary, load }];
}

/** What `--help` prints without a command. */
export function programHelp(): string {
  return [
    `${PROGRAM} ${VERSION}: verifies Approov tokens for Envoy's external authorization`,
    '',
    `usage: ${PROGRAM} [command] [options]`,
    '',
    ...Array.from(COMMANDS, ([name, { summary }]) => `  ${name.padEnd(13)} ${summary}`),
    '',
    '  --config FILE   configuration file (or APPROOV_CONFIG); without one, only environment variables are read',
    '  --help          show this help, or the help of a command',
    '  --version       show the version',
  ].join('\n');
}

/** What `--help` prints after the name of a command. */
export function commandHelp(name: string, { summary }: CommandEntry, { help }: Command): string {
  return [
    `usage: ${PROGRAM} ${name} [--config FILE] [options]`,
    '',
    summary,
    ...help.map((line) => `  ${line}`),
  ].join('\n');
}
