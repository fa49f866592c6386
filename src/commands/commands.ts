/** The table of commands, and the help that is printed from it. */
import { VERSION } from '../version.ts';
import { type Command, type CommandEntry, type CommandTable, PROGRAM } from './command.ts';
import { wrap } from './wrap.ts';

export const DEFAULT_COMMAND = 'serve';

export const COMMANDS: CommandTable = new Map([
  entry('serve', 'run the service (default)', async () => (await import('./serve.ts')).serve),
  entry(
    'check-config',
    'print the configuration that serve would use, or all its errors',
    async () => (await import('./check-config.ts')).checkConfig,
  ),
  entry(
    'explain',
    'show step by step how serve would decide a request',
    async () => (await import('./explain.ts')).explain,
  ),
  entry(
    'mint',
    'sign an example token, or a request as an app does',
    async () => (await import('./mint.ts')).mint,
  ),
  entry(
    'healthcheck',
    'query the health of a running service',
    async () => (await import('./healthcheck.ts')).healthcheck,
  ),
  entry(
    'status',
    'show policies, keys, checks and reloads of a running service',
    async () => (await import('./status.ts')).status,
  ),
  entry(
    'rollout',
    'say whether policies are safe to enforce',
    async () => (await import('./rollout.ts')).rollout,
  ),
  entry(
    'jwks',
    'write the shared secrets as a JWK Set, so that Envoy can verify tokens itself',
    async () => (await import('./jwks.ts')).jwks,
  ),
  entry(
    'override',
    'override the mode of a policy for a while on a running instance',
    async () => (await import('./override.ts')).override,
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
    `${PROGRAM} ${VERSION}: verifies Approov tokens and signatures for Envoy`,
    '',
    `usage: ${PROGRAM} [command] [options]`,
    '',
    ...Array.from(COMMANDS, ([name, { summary }]) => `${name.padEnd(15)}${summary}`).flatMap(helpLines),
    ...helpLines('help           show this help, or the help of a command'),
    '',
    ...[
      '--config FILE  configuration file (or APPROOV_CONFIG); without one, only environment variables are read',
      '-h, --help     show this help, or the help of a command',
      '-v, --version  show the version',
    ].flatMap(helpLines),
  ].join('\n');
}

/** What `help COMMAND` and `COMMAND --help` print. */
export function commandHelp(
  name: string,
  { summary }: CommandEntry,
  { help, argument, options }: Command,
): string {
  const hasOptions = Object.keys(options).length > 0;
  const onlyArgument = argument?.ofOption === undefined ? argument?.name : undefined;
  return [
    `usage: ${PROGRAM} ${name} ${onlyArgument ?? `[--config FILE]${hasOptions ? ' [options]' : ''}`}`,
    '',
    summary,
    ...help.flatMap(helpLines),
  ].join('\n');
}

const COLUMNS = 80;
const INDENT = '  ';

/** Indents a line, and wraps what is right of its two spaces or more, such as the description of an option. */
function helpLines(line: string): readonly string[] {
  const { 0: left = '', index = 0 } = /(?<=\S) {2,}/.exec(line) ?? {};
  const name = line.slice(0, index + left.length);
  const margin = INDENT + ' '.repeat(name.length);
  return wrap(line.slice(name.length), COLUMNS - margin.length).map((text, number) =>
    `${number === 0 ? INDENT + name : margin}${text}`.trimEnd(),
  );
}
