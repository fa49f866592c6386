/** Prints shell completion scripts, generated from the table of commands and the options of each. */
import { type Command, type CommandTable, EXIT, GLOBAL_OPTIONS, PROGRAM, UsageError } from './command.ts';

interface CompletedCommand {
  readonly name: string;
  readonly summary: string;
  readonly options: readonly {
    readonly name: string;
    readonly takesValue: boolean;
    readonly isRepeatable: boolean;
  }[];
  /** Values of the positional argument. */
  readonly values: readonly string[];
}

/** Their values are names of files. */
const FILE_OPTIONS = ['config', 'body-file', 'install-key', 'output'];

const SHELLS: Readonly<Record<string, (commands: readonly CompletedCommand[]) => readonly string[]>> = {
  bash,
  zsh,
  fish,
};
const SHELL_NAMES = Object.keys(SHELLS);

/** @param commands the table, passed in because it lists this command too. */
export function completion(commands: CommandTable): Command {
  return {
    help: [
      `bash: source <(${PROGRAM} completion bash)  in ~/.bashrc`,
      `zsh: source <(${PROGRAM} completion zsh)    in ~/.zshrc, after compinit`,
      `fish: ${PROGRAM} completion fish | source    in config.fish`,
    ],
    options: {},
    argument: { name: 'SHELL', values: SHELL_NAMES },
    async run(options, io) {
      const shell = options.argument();
      const format = shell !== undefined && Object.hasOwn(SHELLS, shell) ? SHELLS[shell] : undefined;
      if (format === undefined) throw new UsageError(`completion: name a shell: ${SHELL_NAMES.join(', ')}`);
      io.out(format(await describe(commands)).join('\n'));
      return EXIT.ok;
    },
  };
}

async function describe(commands: CommandTable): Promise<readonly CompletedCommand[]> {
  const described = Array.from(commands, async ([name, { summary, load }]) => {
    const { options, argument } = await load();
    return {
      name,
      summary,
      options: Object.entries({ ...options, ...GLOBAL_OPTIONS }).map(([option, spec]) => ({
        name: option,
        takesValue: spec.type === 'string',
        isRepeatable: 'multiple' in spec && spec.multiple === true,
      })),
      values: argument?.values ?? [],
    };
  });
  const help = {
    name: 'help',
    summary: 'show the help of a command',
    options: [],
    values: [...commands.keys()],
  };
  return [...(await Promise.all(described)), help];
}

const FUNCTION = `_${PROGRAM.replaceAll('-', '_')}`;

function bash(commands: readonly CompletedCommand[]): readonly string[] {
  const valueOptions = commands.flatMap(({ options }) =>
    options
      .filter(({ name, takesValue }) => takesValue && !FILE_OPTIONS.includes(name))
      .map(({ name }) => `--${name}`),
  );
  return [
    `# bash completion for ${PROGRAM}`,
    `${FUNCTION}() {`,
    `  local word=\${COMP_WORDS[COMP_CWORD]} previous=\${COMP_WORDS[COMP_CWORD-1]} command=serve words='' IFS=$' \\n'`,
    '  COMPREPLY=()',
    '  case $previous in',
    `    ${FILE_OPTIONS.map((name) => `--${name}`).join('|')})`,
    `      compopt -o filenames 2>/dev/null`,
    `      IFS=$'\\n'; COMPREPLY=($(compgen -f -- "$word")); return ;;`,
    `    ${[...new Set(valueOptions)].join('|')}) return ;;`,
    '  esac',
    `  [[ $COMP_CWORD -gt 1 && \${COMP_WORDS[1]} != -* ]] && command=\${COMP_WORDS[1]}`,
    '  if [[ $COMP_CWORD -eq 1 && $word != -* ]]; then',
    `    words='${commands.map(({ name }) => name).join(' ')}'`,
    '  else',
    '    case $command in',
    ...commands.map(
      ({ name, options, values }) =>
        `      ${name}) words='${[...values, ...options.map((option) => `--${option.name}`)].join(' ')}' ;;`,
    ),
    '    esac',
    '  fi',
    '  COMPREPLY=($(compgen -W "$words" -- "$word"))',
    '}',
    `complete -F ${FUNCTION} ${PROGRAM}`,
  ];
}

function zsh(commands: readonly CompletedCommand[]): readonly string[] {
  const specs = ({ options, values }: CompletedCommand): string =>
    [
      ...options.map(({ name, takesValue, isRepeatable }) => {
        const value = takesValue ? `:${name}:${FILE_OPTIONS.includes(name) ? '_files' : ''}` : '';
        return `'${isRepeatable ? '*' : ''}--${name}${takesValue ? '=' : ''}${value}'`;
      }),
      ...(values.length === 0 ? [] : [`'1:value:(${values.join(' ')})'`]),
    ].join(' ');
  return [
    `#compdef ${PROGRAM}`,
    `${FUNCTION}() {`,
    '  local command=serve',
    '  local -a commands',
    '  if (( CURRENT == 2 )) && [[ $words[2] != -* ]]; then',
    `    commands=(${commands.map(({ name, summary }) => quote(`${name}:${summary}`)).join(' ')})`,
    '    _describe command commands',
    '    return',
    '  fi',
    '  if [[ $words[2] != -* ]]; then',
    '    command=$words[2]',
    '    shift words',
    '    (( CURRENT-- ))',
    '  fi',
    '  case $command in',
    ...commands.map((command) => `    ${command.name}) _arguments ${specs(command)} ;;`),
    '  esac',
    '}',
    `if [[ $funcstack[1] == ${FUNCTION} ]]; then ${FUNCTION} "$@"; else compdef ${FUNCTION} ${PROGRAM}; fi`,
  ];
}

function fish(commands: readonly CompletedCommand[]): readonly string[] {
  const names = commands.map(({ name }) => name).join(' ');
  const complete = `complete -c ${PROGRAM}`;
  return [
    `# fish completion for ${PROGRAM}`,
    `${complete} -f`,
    ...commands.flatMap(({ name, summary, options, values }) => {
      // Without a command, the options are those of `serve`.
      const isDefault = name === 'serve' ? `; or not __fish_seen_subcommand_from ${names}` : '';
      const condition = `-n '__fish_seen_subcommand_from ${name}${isDefault}'`;
      return [
        `${complete} -n 'not __fish_seen_subcommand_from ${names}' -a ${name} -d ${quote(summary)}`,
        ...options.map(
          (option) =>
            `${complete} ${condition} -l ${option.name}${FILE_OPTIONS.includes(option.name) ? ' -r -F' : option.takesValue ? ' -x' : ''}`,
        ),
        ...(values.length === 0 ? [] : [`${complete} ${condition} -a '${values.join(' ')}'`]),
      ];
    }),
  ];
}

/** Summaries have neither quotes nor backslashes, which a test checks. */
function quote(text: string): string {
  return `'${text}'`;
}
