/** Lays out what `status` shows, in 80 columns. */
import { formatDuration } from '../../rollout/words.ts';
import { formatTable } from '../table.ts';
import type { Paint, Style } from '../terminal.ts';
import { wrap } from '../wrap.ts';
import type { ChecksStatus, KeyStatus, ReloadStatus, Status } from './facts.ts';
import type { OverrideStatus, PolicyStatus } from './policies.ts';

const WIDTH = 80;

interface LayoutOptions {
  /** The address that was asked. */
  readonly admin: string;
  readonly nowSeconds: number;
  readonly paint: Paint;
}

export function layOutStatus(status: Status, options: LayoutOptions): readonly string[] {
  const { version, node, uptime_seconds: uptime, policies, overrides, keys, checks, reloads } = status;
  const { paint } = options;
  const title = (text: string): string => paint('bold', text);
  return [
    title(`approov-ext-authz ${version}`) +
      (uptime === null ? '' : `, up ${formatDuration(Math.trunc(uptime))}`) +
      (node === null ? '' : `, Node ${node}`),
    ...stateRows(status, options).flatMap((row) => layOutState(row, paint)),
    '',
    title('Policies'),
    ...policyRows(policies),
    ...overrides.flatMap((override) => overrideRows(override, paint)),
    ...(status.default_policy === null ? [] : [`  default policy: ${status.default_policy}`]),
    '',
    title('Keys'),
    ...keyRows(keys, options),
    '',
    ...checkRows(checks, paint),
    '',
    title('Reloads'),
    ...reloadRows(reloads, options),
  ];
}

interface StateRow {
  readonly name: string;
  readonly text: string;
  readonly style?: Style | undefined;
}

const NAME_WIDTH = 12;

function layOutState({ name, text, style }: StateRow, paint: Paint): readonly string[] {
  return wrap(text, WIDTH - NAME_WIDTH - 3).map((line, index) => {
    const margin = `  ${(index === 0 ? name : '').padEnd(NAME_WIDTH)} `;
    return margin + (style === undefined ? line : paint(style, line));
  });
}

function stateRows(status: Status, { admin, nowSeconds }: LayoutOptions): readonly StateRow[] {
  const { ready, process, keys, reloads, workers, worker_restarts: restarts, listener } = status;
  const missing = keys.filter(({ loaded }) => !loaded).map(({ id }) => id);
  const failing = reloads.filter(({ problems }) => problems.length > 0).map(({ source }) => source);
  const loaded = `${keys.length - missing.length} loaded`;
  return [
    ready ? { name: 'ready', text: 'yes', style: 'green' } : { name: 'ready', text: 'no', style: 'red' },
    { name: 'process', text: process ?? 'not running' },
    missing.length === 0
      ? { name: 'keys', text: loaded }
      : { name: 'keys', text: `${loaded}, not loaded: ${missing.join(', ')}`, style: 'red' },
    failing.length === 0
      ? { name: 'sources', text: 'ok' }
      : { name: 'sources', text: `failing: ${failing.join(', ')}`, style: 'red' },
    ...workerRows(Object.values(workers), restarts),
    ...(listener === null
      ? [{ name: 'gRPC', text: 'not shown: /config answers loopback clients only' }]
      : [{ name: 'gRPC', text: listener.grpc }, ...certificateRows(listener, nowSeconds)]),
    { name: 'admin', text: admin },
  ];
}

/** How many are in each state: `2 ready, 1 worker exited; 4 restarts`. None for a service of one process. */
function workerRows(states: readonly string[], restarts: number): readonly StateRow[] {
  const counts = [...new Set(states)].map(
    (state) => `${states.filter((other) => other === state).length} ${state}`,
  );
  if (counts.length === 0) return [];
  const text = `${counts.join(', ')}; ${formatCount(restarts)} ${restarts === 1 ? 'restart' : 'restarts'}`;
  return [
    { name: 'workers', text, style: states.every((state) => state === 'ready') ? undefined : 'yellow' },
  ];
}

/** In the last week, a renewal is overdue. */
const EXPIRES_SOON_SECONDS = 7 * 86_400;

function certificateRows(
  { tls, certificate_expires_at: expiresAt }: NonNullable<Status['listener']>,
  nowSeconds: number,
): readonly StateRow[] {
  const name = 'certificate';
  if (!tls) return [];
  if (expiresAt === null) return [{ name, text: 'cannot be read' }];
  const left = Date.parse(expiresAt) / 1000 - nowSeconds;
  const date = `${expiresAt.slice(0, 16).replace('T', ' ')} UTC`;
  if (left <= 0) return [{ name, text: `expired on ${date}`, style: 'red' }];
  const text = `expires in ${formatDuration(left)}, on ${date}`;
  return [{ name, text, style: left < EXPIRES_SOON_SECONDS ? 'yellow' : undefined }];
}

function policyRows(policies: readonly PolicyStatus[]): readonly string[] {
  return formatTable(
    ['policy', 'mode', '>checks', '>verified', '>unverified'],
    policies.map((policy) => {
      const { name, verified, unverified, skipped } = policy;
      const total = verified + unverified + skipped;
      const shares = [verified, unverified].map((count) => formatShare(count, total));
      return [name, modeText(policy), formatCount(total), ...shares];
    }),
  );
}

function overrideRows(override: OverrideStatus, paint: Paint): readonly string[] {
  const { policy, mode, configured_mode: configured, reason, seconds_left: left } = override;
  const details =
    left === null
      ? ''
      : ` for another ${formatDuration(left)}, then ${configured} as configured; reason: ${reason}`;
  return wrap(`override: policy ${policy} is in mode ${mode}${details}`, WIDTH - 4).map((line, index) =>
    paint('yellow', `${index === 0 ? '  ' : '    '}${line}`),
  );
}

/** With the share of devices if it is not all of them. */
function modeText({ mode, enforce_percent: percent }: PolicyStatus): string {
  return percent === null || percent === 100 ? mode : `${mode} ${percent} %`;
}

function keyRows(keys: readonly KeyStatus[], { nowSeconds, paint }: LayoutOptions): readonly string[] {
  return formatTable(
    ['key', 'fingerprint', '>verifications', '>last use'],
    keys.flatMap(({ id, loaded, fingerprints, verifications, last_used_at: lastUsed }) => {
      const [first, ...others] = fingerprints;
      const fingerprint = first ?? (loaded ? '-' : paint('red', 'not loaded'));
      return [
        [id, fingerprint, formatCount(verifications), formatAgo(lastUsed, nowSeconds, 'not since start')],
        ...others.map((other) => ['', other, '', '']),
      ];
    }),
  );
}

function checkRows(checks: ChecksStatus, paint: Paint): readonly string[] {
  const { total, in_flight: inFlight, verified, unverified, skipped, reasons, actions } = checks;
  const heading = `${paint('bold', 'Checks since start')}: ${total === 0 ? 'none' : formatCount(total)} (${formatCount(inFlight)} in flight)`;
  if (total === 0) return [heading];
  const row = (name: string, count: number): readonly string[] => [
    name,
    formatCount(count),
    formatShare(count, total),
  ];
  return [
    heading,
    ...formatTable(
      ['outcome', '>checks', '>share'],
      [
        row('verified', verified),
        row('unverified', unverified),
        ...Object.entries(reasons).map(([reason, count]) => row(`  ${reason}`, count)),
        row('skipped', skipped),
        ...Object.entries(actions).map(([action, count]) => row(`action ${action}`, count)),
      ],
    ),
  ];
}

function reloadRows(
  reloads: readonly ReloadStatus[],
  { nowSeconds, paint }: LayoutOptions,
): readonly string[] {
  return [
    ...formatTable(
      ['source', '>last loaded', '>reloads', '>failures'],
      reloads.map(({ source, last_success_at: lastSuccess, successes, failures }) => [
        source,
        formatAgo(lastSuccess, nowSeconds, 'never'),
        formatCount(successes),
        formatCount(failures),
      ]),
    ),
    ...reloads.flatMap(({ source, problems }) =>
      problems.flatMap((problem) =>
        wrap(`${source}: ${problem}`, WIDTH - 4).map((line, index) =>
          paint('red', `${index === 0 ? '  ' : '    '}${line}`),
        ),
      ),
    ),
  ];
}

function formatCount(count: number): string {
  return count.toLocaleString('en-US');
}

/** 0 % and 100 % are exact. */
function formatShare(count: number, total: number): string {
  if (total === 0) return '-';
  if (count === 0 || count === total) return count === 0 ? '0 %' : '100 %';
  const percent = (100 * count) / total;
  if (percent < 0.1) return '<0.1 %';
  if (percent > 99.9) return '>99.9 %';
  return `${percent.toFixed(1)} %`;
}

/** @param without what to say if there is no time. */
function formatAgo(time: string | null, nowSeconds: number, without: string): string {
  return time === null ? without : `${formatDuration(Math.trunc(nowSeconds - Date.parse(time) / 1000))} ago`;
}
