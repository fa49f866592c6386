/** The table of commands, and the help that is printed from it. */
import { VERSION } from '../version.ts';
import { type Command, type CommandEntry, type CommandTable, PROGRAM } from './command.ts';

export const DEFAULT_COMMAND = 'serve';

export const COMMANDS: CommandTable = new Map([
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
    'sign an example token with a configured symmetric key, and a request with it if asked',
    async () => (await import('./mint.ts')).mint,
  ),
  entry(
    'healthcheck',
    'check whether the running service is serving',
    async () => (await import('./healthcheck.ts')).healthcheck,
  ),
  entry(
    'status',
    'show what a running service does: policies, keys, checks by outcome, reloads',
    async () => (await import('./status.ts')).status,
  ),
  entry(
    'config-schema',
    'print the JSON Schema of the configuration file, for editors',
    async () => (await import('./config-schema.ts')).configSchema,
  ),
  entry('completion', 'print a completion script for bash, zsh or fish', async () =>
    (await import('./completion.ts')).completion(COMMANDS),
  ),
]);

function entry(name: string, summary: string, load: CommandEntry['load']): [string, CommandEntry] {
  return [name, { summary, load }];
}

/** What `help` and `--help` print without a command. */
export function programHelp(): string {
  return [
    `${PROGRAM} ${VERSION}: verifies Approov tokens for Envoy's external authorization`,
    '',
    `usage: ${PROGRAM} [command] [options]`,
    '',
    ...Array.from(COMMANDS, ([name, { summary }]) => `  ${name.padEnd(14)} ${summary}`),
    `  ${'help'.padEnd(14)} show this help, or with the name of a command its help`,
    '',
    '  --config FILE   configuration file (or APPROOV_CONFIG); without one, only environment variables are read',
    '  -h, --help      show this help, or the help of a command',
    '  -v, --version   show the version',
  ].join('\n');
}

/** What `help COMMAND` and `COMMAND --help` print. */
export function commandHelp(name: string, { summary }: CommandEntry, { help, argument }: Command): string {
  const usage =
    argument === undefined || argument.ofOption !== undefined ? '[--config FILE] [options]' : argument.name;
  return [`usage: ${PROGRAM} ${name} ${usage}`, '', summary, ...help.map((line) => `  ${line}`)].join('\n');
}
