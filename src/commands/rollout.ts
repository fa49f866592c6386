/** Says whether policies are safe to enforce: asks a running service, or Prometheus about the fleet. */
import { nearest } from '../config/nearest.ts';
import { parseRollout } from '../config/parse-rollout.ts';
import { escapeAll } from '../telemetry/printable.ts';
import { type Command, EXIT, type Io, type Options, UsageError } from './command.ts';
import { isOff, type RolloutAnswer, readRolloutAnswer } from './rollout/answer.ts';
import { assessFleet } from './rollout/fleet.ts';
import { layOutRollout } from './rollout/layout.ts';
import { connectPrometheus, PrometheusError } from './rollout/prometheus.ts';
import { fleetQueries } from './rollout/promql.ts';
import {
  ADMIN_TIMEOUT_SECONDS,
  describeAdminError,
  dialAddress,
  getPage,
  notOurs,
  readListen,
  readSection,
} from './running-service.ts';
import { paintFor } from './terminal.ts';

export const rollout: Command = {
  help: [
    'asks the admin address of the configuration (listen.admin or APPROOV_ADMIN_LISTEN)',
    '--policy NAME      only this policy',
    '--prometheus URL   ask Prometheus about all instances, by the thresholds of the configuration',
    '--match MATCHERS   with --prometheus: which instances, such as job="authz",namespace="prod"',
    '--json             print JSON',
    '',
    'exit code: 0 safe to enforce, 4 not yet, 5 can’t tell; without --policy, of all policies that are not off',
  ],
  options: {
    policy: { type: 'string' },
    prometheus: { type: 'string' },
    match: { type: 'string' },
    json: { type: 'boolean' },
  },
  async run(options, io) {
    const url = options.text('prometheus');
    if (url === undefined && options.has('match')) throw new UsageError('--match: needs --prometheus');
    const asked = await (url === undefined ? askInstance(options, io) : askPrometheus(url, options, io));
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

type Asked =
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

async function askPrometheus(url: string, options: Options, io: Io): Promise<Asked> {
  const prometheus = connectPrometheus(url);
  const queries = fleetQueries(options.text('match'));
  const settings = await readSection(options, io, parseRollout);
  // Without what may be secret in the query.
  const { origin, pathname } = new URL(url);
  const shown = `${origin}${pathname === '/' ? '' : pathname}`;
  try {
    const answer = await assessFleet(prometheus, queries, settings, {
      url: shown,
      nowSeconds: io.nowSeconds(),
    });
    return answer === undefined
      ? { kind: 'failed', problem: `${shown}: ${describeNothing(options.text('match'))}` }
      : { kind: 'answered', answer };
  } catch (error) {
    if (!(error instanceof PrometheusError)) throw error;
    return { kind: 'failed', problem: `${shown}: ${error.message}` };
  }
}

function describeNothing(matchers: string | undefined): string {
  return matchers === undefined
    ? 'no approov_policy_mode; does Prometheus scrape the service?'
    : `no approov_policy_mode with ${matchers}; do the labels fit?`;
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
    .filter((policy) => wasNamed || !isOff(policy))
    .map(({ assessment }) => assessment.kind);
  if (kinds.includes('not_yet')) return EXIT.notYet;
  return kinds.length === 0 || kinds.includes('cannot_tell') ? EXIT.cannotTell : EXIT.ok;
}
