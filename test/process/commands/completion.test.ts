/** Tests the completion scripts in the shells that load them. */
import { spawnSync } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { COMMANDS } from '../../../src/commands/commands.ts';
import { runInProcess } from '../../support/in-process.ts';
import { runCli } from '../../support/process.ts';
import { program, unmet } from '../../support/requirement.ts';

const folder = mkdtempSync(join(tmpdir(), 'completion-'));
writeFileSync(join(folder, 'my config.yaml'), '');
afterAll(() => rmSync(folder, { recursive: true }));

const NAMES = [...COMMANDS.keys(), 'help'];

type Case = readonly [words: readonly string[], expected: readonly string[]];
const CASES: readonly Case[] = [
  [[''], NAMES],
  [['expl'], ['explain']],
  [
    ['explain', '--he'],
    ['--header', '--help'],
  ],
  [['mint', '--inv'], ['--invalid']],
  [['mint', '--sign'], ['--sign-request']],
  [['--conf'], ['--config']],
  [['completion', 'z'], ['zsh']],
  [['help', 'mi'], ['mint']],
  [['mint', '--config', 'my'], ['my config.yaml']],
  [['mint', '--body-file', 'my'], ['my config.yaml']],
  [['explain', '--token', ''], []],
];

/** Whether a shell is missing, as the suffix of a title. */
function without(shell: string): Promise<string> {
  const requirement = program(shell, ['--version'], `the package ${shell} of your system`);
  return unmet([requirement], `that the completion script for ${shell} works`);
}
const withoutBash = await without('bash');
const withoutFish = await without('fish');
const withoutZsh = await without('zsh');

function run(shell: string, code: string, args: readonly string[] = []): string {
  const options = shell === 'fish' ? ['--no-config', '-c', code, ...args] : ['-c', code, shell, ...args];
  const { stdout, stderr } = spawnSync(shell, options, { cwd: folder, encoding: 'utf8', timeout: 20_000 });
  expect(stderr).toBe('');
  return stdout;
}

async function scriptFor(shell: string): Promise<string> {
  const { code, stdout, stderr } = await runCli(['completion', shell]);
  expect({ code, stderr }).toEqual({ code: 0, stderr: '' });
  const path = join(folder, shell);
  writeFileSync(path, stdout);
  return path;
}

describe.skipIf(withoutBash !== '')(`in bash${withoutBash}`, () => {
  let script = '';
  beforeAll(async () => {
    script = await scriptFor('bash');
  });

  test.each(CASES)('%j completes to %j', (words, expected) => {
    const code = `source ${script}
      complete -p approov-ext-authz >/dev/null || exit
      COMP_WORDS=(approov-ext-authz "$@"); COMP_CWORD=$#
      _approov_ext_authz
      [[ \${#COMPREPLY[@]} -eq 0 ]] || printf '%s\\n' "\${COMPREPLY[@]}"`;
    expect(run('bash', code, words).split('\n').filter(Boolean).sort()).toEqual([...expected].sort());
  });
});

describe.skipIf(withoutFish !== '')(`in fish${withoutFish}`, () => {
  let script = '';
  beforeAll(async () => {
    script = await scriptFor('fish');
  });

  test.each(CASES)('%j completes to %j', (words, expected) => {
    const line = ['approov-ext-authz', ...words].join(' ');
    const found = run('fish', `source ${script}; complete -C '${line}'`)
      .split('\n')
      .filter(Boolean)
      .map((completion) => completion.split('\t')[0]);
    expect(found.sort()).toEqual([...expected].sort());
  });
});

describe.skipIf(withoutZsh !== '')(`in zsh${withoutZsh}`, () => {
  let script = '';
  beforeAll(async () => {
    script = await scriptFor('zsh');
  });

  test.each([
    ['expl', 'explain'],
    ['explain --tok', 'explain --token'],
    ['completion z', 'completion zsh'],
    ['help mi', 'help mint'],
  ])('%s and the Tab key make %s', (typed, expected) => {
    const code = `zmodload zsh/zpty
      zpty terminal zsh -f -i
      zpty -w terminal "PS1=; autoload -U compinit; compinit -D -u; source ${script}; print re''ady"
      zpty -r -m terminal screen '*ready*'
      zpty -w -n terminal $'approov-ext-authz ${typed}\\t'
      zpty -r -m terminal screen '*approov-ext-authz ${expected}*' && print -r -- "$screen"`;
    expect(run('zsh', code)).toContain(`approov-ext-authz ${expected}`);
  });
});

test('the summaries of commands need no quoting in a shell', () => {
  for (const { summary } of COMMANDS.values()) expect(summary).not.toMatch(/['"\\$`]/);
});

test.each([[[]], [['tcsh']], [['bash', 'zsh']], [['toString']]])('completion %j is exit 2', async (args) => {
  const { code, stdout, stderr } = await runInProcess(['completion', ...args]);
  expect({ code, stdout }).toEqual({ code: 2, stdout: '' });
  expect(stderr).toMatch(/bash, zsh, fish|give one SHELL/);
});
