/** Runs a command line in this process, which costs a tenth of a process of its own. */
import { setTimeout as sleep } from 'node:timers/promises';
import { UsageError } from '../../src/commands/command.ts';
import { runCommandLine } from '../../src/commands/command-line.ts';
import { escapeUnprintable } from '../../src/telemetry/printable.ts';
import type { Finished } from './process.ts';

/** Does what `runCli` does, for a command that ends by itself. */
export async function runInProcess(
  args: readonly string[],
  env: Readonly<Record<string, string>> = {},
  stdin?: string,
): Promise<Finished> {
  let stdout = '';
  let stderr = '';
  const code = await runCommandLine(args, {
    env,
    out(line) {
      stdout += `${line}\n`;
    },
    err(line) {
      stderr += `${escapeUnprintable(line)}\n`;
    },
    isTerminal: false,
    hasColors: false,
    readStdin: async () => stdin ?? Promise.reject(new UsageError('stdin is not given')),
    nowSeconds: () => Date.now() / 1000,
    // Stops a service that started although the test expects an error.
    stopRequested: () => sleep(60_000, undefined, { ref: false }),
    requestStop: () => undefined,
    enterServiceMode: () => undefined,
    onReloadSignal: () => undefined,
  });
  return { code, stdout, stderr };
}
