/** Runs a command with bad input, and returns the lines that it is reported with. */
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Options, UsageError } from '../../src/commands/command.ts';
import { COMMANDS } from '../../src/commands/commands.ts';
import { ConfigError, formatProblem } from '../../src/config/config.ts';
import { SECRET } from './token.ts';

let folder = '';

const FILES = {
  secret: SECRET,
  noted: `Note: keep this secret\n${SECRET}\n`,
  empty: '\n',
  short: 'c2hvcnQ=',
  'cut.json': '{\n  "keys": [\n    {"kty": "EC"\n',
  'list.json': '[]',
  'oct.json': JSON.stringify({ keys: [{ kty: 'oct', k: 'AAAA' }] }),
};

/** Each test file calls it: several may share this module. */
export function writeFiles(): void {
  folder = mkdtempSync(join(tmpdir(), 'bad-input-'));
  for (const [name, content] of Object.entries(FILES)) writeFileSync(join(folder, name), content);
  mkdirSync(join(folder, 'folder'));
}

export function removeFiles(): void {
  rmSync(folder, { recursive: true });
}

export interface Input {
  /** Of config.yaml. File names in it are relative to the folder. */
  readonly config?: string;
  /** Default: the secret. */
  readonly env?: Readonly<Record<string, string>>;
  /** Default: check-config. */
  readonly args?: readonly string[];
}

/** The names of files become paths in the folder. */
function inFolder(text: string): string {
  const names = [...Object.keys(FILES), 'folder', 'secrt', 'confg.yaml'].join('|').replaceAll('.', '\\.');
  return text.replaceAll(new RegExp(`(?<=File: |^)(?:${names})(?=[,}\\n]|$)`, 'g'), (name) =>
    join(folder, name),
  );
}

/** What cli.ts prints on stderr, with paths relative to the folder. */
export async function errorsOf({
  config,
  env = { APPROOV_BASE64_SECRET: 'SECRET' },
  args,
}: Input): Promise<string[]> {
  const file = join(folder, 'config.yaml');
  writeFileSync(file, inFolder(config ?? ''));
  const [name = '', ...rest] = args ?? ['check-config', ...(config === undefined ? [] : ['--config', file])];
  const command = await COMMANDS.get(name)?.load();
  if (command === undefined) throw new Error(`no command ${name}`);
  const given = Object.entries(env).map(([key, value]) => [key, inFolder(value.replace('SECRET', SECRET))]);
  const lines: string[] = [];
  const io = {
    env: Object.fromEntries(given),
    out: () => undefined,
    err: (line: string) => lines.push(line),
    nowSeconds: () => 0,
  };
  try {
    const options = new Options(rest.map(inFolder), command.options, command);
    await command.run(options, io as never);
  } catch (error) {
    if (error instanceof ConfigError) lines.push(...error.problems.map(formatProblem));
    else if (error instanceof UsageError) lines.push(error.message);
    else throw error;
  }
  return lines.map((line) => line.replaceAll(`${folder}/`, ''));
}

/** Words of JavaScript, Node and OpenSSL, which say nothing to somebody who writes YAML. */
export const FOREIGN_WORDS =
  /\b(?:undefined|NaN|null|object|array|boolean|function|JSON at position|Unexpected token|E[A-Z]{4,}|ERR_\w+|[A-Z]\w*Error)\b/;
