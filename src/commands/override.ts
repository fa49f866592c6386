/** Overrides the mode of a policy for a while on one running instance, or ends that early. */
import * as z from 'zod';
import { type ListenAddress, printableAddress } from '../config/address.ts';
import { formatProblem, type Problem } from '../config/config.ts';
import {
  MAX_OVERRIDE_SECONDS,
  MIN_OVERRIDE_SECONDS,
  parseOverrideRequest,
} from '../config/override-request.ts';
import { formatDuration } from '../rollout/words.ts';
import { escapeUnprintable } from '../telemetry/printable.ts';
import { type Command, EXIT, type Io, type Options, PROGRAM, UsageError } from './command.ts';
import { parseDurationSeconds } from './duration.ts';
import {
  ADMIN_TIMEOUT_SECONDS,
  type Answer,
  describeAdminError,
  dialAddress,
  getPage,
  notOurs,
  readListen,
} from './running-service.ts';

export const override: Command = {
  help: [
    '--policy NAME  the policy whose mode is overridden',
    '--mode MODE    observe, limit or enforce',
    '--for TIME     how long: 90s, 30m or 2h, at most 4h; then the configured mode returns',
    '--reason TEXT  why, for the log and for status',
    '--clear        end the override of the policy now; not with the three options before',
    'asks the admin address of the configuration (listen.admin or APPROOV_ADMIN_LISTEN)',
  ],
  options: {
    policy: { type: 'string' },
    mode: { type: 'string' },
    for: { type: 'string' },
    reason: { type: 'string' },
    clear: { type: 'boolean' },
  },
  async run(options, io) {
    const body = readRequest(options, io);
    const admin = dialAddress((await readListen(options, io)).admin);
    const signal = AbortSignal.timeout(ADMIN_TIMEOUT_SECONDS * 1000);
    const asked = await getPage(admin, '/override', signal, body).catch((error: NodeJS.ErrnoException) => {
      io.err(describeAdminError(error, admin));
    });
    return asked === undefined ? EXIT.failure : report(asked, admin, io);
  },
};

/** @throws {UsageError} an option is missing or wrong; if several are, it is the last one, and the others are printed. */
function readRequest(options: Options, io: Io): object {
  const policy = options.text('policy');
  const [mode, time, reason] = ['mode', 'for', 'reason'].map((name) => options.text(name));
  const seconds = time === undefined || hasNoUnit(time) ? undefined : parseDurationSeconds(time);
  const body = options.flag('clear') ? { policy, clear: true } : { policy, mode, seconds, reason };
  const request = parseOverrideRequest(body);
  const problems = [
    ...(request.kind === 'invalid' ? request.problems.map((problem) => ofOption(problem, time)) : []),
    ...(options.flag('clear') && [mode, time, reason].some((value) => value !== undefined)
      ? [{ path: '--clear', message: 'ends an override, so it needs neither --mode, --for nor --reason' }]
      : []),
  ];
  const last = problems.at(-1);
  if (last === undefined) return body;
  for (const problem of problems.slice(0, -1)) io.err(`${PROGRAM}: ${formatProblem(problem)}`);
  throw new UsageError(formatProblem(last));
}

/** A bare number is likelier to be meant in minutes than in seconds. */
function hasNoUnit(time: string): boolean {
  return /^\d{1,9}(\.\d{1,9})?$/.test(time);
}

function timeProblem(time: string | undefined): string {
  if (time === undefined) return `is required: it ${TIMES}`;
  if (hasNoUnit(time)) return `"${time}" needs a unit: ${time}s or ${time}m`;
  return /^(\d+[smhd]){2,}$/.test(time) ? 'must be one number and one unit, such as 90m' : TIMES;
}

const TIMES = `must be ${MIN_OVERRIDE_SECONDS}s to ${MAX_OVERRIDE_SECONDS / 3600}h, such as 30m`;

function ofOption({ path, message }: Problem, time: string | undefined): Problem {
  if (path !== 'seconds') return { path: `--${path}`, message };
  return { path: '--for', message: timeProblem(time) };
}

const ACTIVE = z.object({ mode: z.string(), seconds_left: z.number() }).nullable();
const DONE = z.object({ policy: z.string(), configured_mode: z.string(), active: ACTIVE, ended: ACTIVE });

/** @throws {UsageError} the service does not accept the request. */
function report({ status, body }: Answer, admin: ListenAddress, io: Io): number {
  const done = status === 200 ? DONE.safeParse(parseJson(body)).data : undefined;
  if (done !== undefined) {
    io.out(escapeUnprintable(describe(done)));
    return EXIT.ok;
  }
  const [problem = ''] = body.split('\n');
  if (status === 404 && problem.startsWith('unknown policy')) throw new UsageError(`--policy: ${problem}`);
  io.err(
    status === 403
      ? `${printableAddress(admin)}: overrides are accepted only from 127.0.0.1 or ::1; run this on the same host or in the same pod, and make sure listen.admin binds loopback or all interfaces`
      : notOurs(admin),
  );
  return EXIT.failure;
}

function describe({ policy, configured_mode: configured, active, ended }: z.infer<typeof DONE>): string {
  if (active !== null) {
    const replaced = ended === null ? '' : ` It replaces ${ended.mode}.`;
    return `policy ${policy}: mode ${active.mode} for ${formatDuration(active.seconds_left)}, then ${configured} as configured; on this instance only.${replaced}`;
  }
  return ended === null
    ? `policy ${policy}: no override was active; the mode is ${configured}`
    : `policy ${policy}: mode ${configured} as configured; the override with mode ${ended.mode} has ended`;
}

function parseJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}
