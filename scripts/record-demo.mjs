/**
 * Runs the demo in a terminal of 80 columns and writes what it prints to docs/demo.svg. Needs a build:
 * `npm run build && node scripts/record-demo.mjs`.
 */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { writeFileSync } from 'node:fs';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import { stripVTControlCharacters } from 'node:util';
import { terminalSvg } from './terminal-svg.mjs';

const ROOT = fileURLToPath(new URL('..', import.meta.url));
const COLUMNS = 80;
const ROWS = 30;

/** Runs a command in a pseudo-terminal, which Node cannot create, and copies its output. */
const PSEUDO_TERMINAL = `
import fcntl, os, pty, struct, sys, termios
pid, terminal = pty.fork()
if pid == 0:
    fcntl.ioctl(0, termios.TIOCSWINSZ, struct.pack('HHHH', ${ROWS}, ${COLUMNS}, 0, 0))
    os.execvp(sys.argv[1], sys.argv[1:])
try:
    while chunk := os.read(terminal, 65536):
        os.write(1, chunk)
except OSError:
    pass  # How Linux reports the end.
sys.exit(os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]))
`;

/** The answers come faster than anyone can read, so each line waits for the reader of the one before. */
const PACE = [
  { pattern: /^ {2}✓/, seconds: 0.5 },
  // After the log line and the table.
  { pattern: /^(EXPLAIN|METRICS|All)/, seconds: 3 },
  { pattern: /^[A-Z]{3}/, seconds: 1 },
];
/** Longer waits are cut to this. */
const MAX_WAIT_SECONDS = 1.5;

/** @param {string} text */
function paceOf(text) {
  const plain = stripVTControlCharacters(text);
  return PACE.find(({ pattern }) => pattern.test(plain))?.seconds ?? 0;
}

async function record() {
  const { NO_COLOR: _, ...env } = process.env;
  const command = ['-c', PSEUDO_TERMINAL, process.execPath, 'scripts/demo.mjs'];
  const child = spawn('python3', command, {
    cwd: ROOT,
    env: { ...env, TERM: 'xterm-256color' },
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  const lines = [{ text: '$ \u001b[1mnpm run demo\u001b[0m', seconds: 0 }];
  let seconds = 0.5;
  let before = performance.now();
  createInterface(child.stdout).on('line', (text) => {
    const now = performance.now();
    seconds += Math.max(paceOf(text), Math.min(Math.round((now - before) / 100) / 10, MAX_WAIT_SECONDS));
    before = now;
    lines.push({ text: text.trimEnd(), seconds });
  });
  const [code] = await once(child, 'close');
  if (code === 0) return lines;
  process.stderr.write(lines.map(({ text }) => `${text}\n`).join(''));
  return process.exit(1);
}

const title = 'npm run demo: requests through Envoy in the modes observe, limit and enforce';
writeFileSync(`${ROOT}docs/demo.svg`, terminalSvg(await record(), { columns: COLUMNS, rows: ROWS, title }));
