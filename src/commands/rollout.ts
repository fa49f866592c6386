/** Says whether policies are safe to enforce: asks a running service, or Prometheus about the fleet. */
import { nearest } from '../config/nearest.ts';
import { escapeAll } from '../telemetry/printable.ts';
import { type Command, EXIT, type Io, type Options, UsageError } from './command.ts';
import { type RolloutAnswer, readRolloutAnswer } from './rollout-answer.ts';
import { layOutRollout } from './rollout-layout.ts';
import {
  ADMIN_TIMEOUT_SECONDS,
  describeAdminError,
  dialAddress,
  getPage,
  notOurs,
  readListen,
} from './running-service.ts';
import { paintFor } from './terminal.ts';

export const rollout: Command = {
  help: [
    '--policy NAME      only this policy',
    '--json             print JSON',
    '',
    'asks the admin address of the configuration (listen.admin or APPROOV_ADMIN_LISTEN)',
    'exits with 0 if every policy that is not off is safe to enforce, 4 if one is not yet, 5 if that cannot be told',
  ],
  options: { policy: { type: 'string' }, json: { type: 'boolean' } },
  async run(options, io) {
    const asked = await askInstance(options, io);
    if (asked.kind === 'failed') {
      io.err(asked.problem);
      return EXIT.failure;
    }
    const answer = escapeAll(selectPolicy(asked.answer, options.text('policy'))) as RolloutAnswer;
    const lines = options.flag('json')
      ? [JSON.stringify(answer, null, 2)]
      : layOutRollout(answer, paintFor(io));
    io.out(lines.join('\n'));
    return exitCodeFor(answer, options.has('policy'));
  },
};

export type Asked =
  | { readonly kind: 'answered'; readonly answer: RolloutAnswer }
  | { readonly kind: 'failed'; readonly problem: string };

async function askInstance(options: Options, io: Io): Promise<Asked> {
  const admin = dialAddress((await readListen(options, io)).admin);
  try {
    const { body } = await getPage(admin, '/rollout.json', AbortSignal.timeout(ADMIN_TIMEOUT_SECONDS * 1000));
    const answer = readRolloutAnswer(body);
    return answer === undefined ? { kind: 'failed', problem: notOurs(admin) } : { kind: 'answered', answer };
  } catch (error) {
    return { kind: 'failed', problem: describeAdminError(error as NodeJS.ErrnoException, admin) };
  }
}

/** @throws {UsageError} there is no such policy. */
function selectPolicy(answer: RolloutAnswer, name: string | undefined): RolloutAnswer {
  if (name === undefined) return answer;
  const policies = answer.policies.filter((policy) => policy.name === name);
  if (policies.length > 0) return { ...answer, policies };
  const known = answer.policies.map((policy) => policy.name);
  const meant = nearest(name, known);
  const advice = meant === undefined ? `known: ${known.join(', ')}` : `did you mean ${meant}?`;
  throw new UsageError(`--policy: no such policy; ${advice}`);
}

/** A policy that is off is left out, unless it was asked for. */
function exitCodeFor({ policies }: RolloutAnswer, wasNamed: boolean): number {
  const kinds = policies
    .filter(({ mode }) => wasNamed || mode !== 'off')
    .map(({ assessment }) => assessment.kind);
  if (kinds.includes('not_yet')) return EXIT.notYet;
  return kinds.length === 0 || kinds.includes('cannot_tell') ? EXIT.cannotTell : EXIT.ok;
}
