/** The network faults between Envoy and the service, and what clients see of each. */
import type { Toxic } from './toxiproxy.ts';

/** What the client of a verified request sees. `unverified` is a 200 without the outcome headers of the service. */
export type Seen = 'verified' | 'unverified' | '503';

export interface Fault {
  readonly name: string;
  readonly toxics: readonly Toxic[];
  readonly failClosed: Seen;
  readonly failOpen: Seen;
}

/** Far longer than the timeout of a check. */
const FOREVER_MS = 60_000;

const both = (toxic: Omit<Toxic, 'stream'>): readonly Toxic[] => [
  { ...toxic, stream: 'upstream' },
  { ...toxic, stream: 'downstream' },
];

export const FAULTS: readonly Fault[] = [
  {
    name: 'none',
    toxics: [],
    failClosed: 'verified',
    failOpen: 'verified',
  },
  {
    name: '20 ms of latency, far below the timeout',
    toxics: [{ type: 'latency', stream: 'downstream', attributes: { latency: 20, jitter: 10 } }],
    failClosed: 'verified',
    failOpen: 'verified',
  },
  {
    name: 'latency above the timeout',
    toxics: [{ type: 'latency', stream: 'downstream', attributes: { latency: FOREVER_MS } }],
    failClosed: '503',
    failOpen: 'unverified',
  },
  {
    name: 'connections are reset immediately',
    toxics: [{ type: 'reset_peer', stream: 'downstream', attributes: { timeout: 0 } }],
    failClosed: '503',
    failOpen: 'unverified',
  },
  {
    name: 'connections close slowly',
    toxics: both({ type: 'slow_close', attributes: { delay: FOREVER_MS } }),
    failClosed: 'verified',
    failOpen: 'verified',
  },
  {
    name: 'half-open: requests are lost, and the connection stays open',
    toxics: [{ type: 'timeout', stream: 'upstream', attributes: { timeout: 0 } }],
    failClosed: '503',
    failOpen: 'unverified',
  },
  {
    name: 'half-open: answers are lost, and the connection stays open',
    toxics: [{ type: 'timeout', stream: 'downstream', attributes: { timeout: 0 } }],
    failClosed: '503',
    failOpen: 'unverified',
  },
  {
    name: 'answers are cut after 50 bytes',
    toxics: [{ type: 'limit_data', stream: 'downstream', attributes: { bytes: 50 } }],
    failClosed: '503',
    failOpen: 'unverified',
  },
  {
    name: 'bandwidth that a check does not fit into',
    toxics: both({ type: 'bandwidth', attributes: { rate: 0 } }),
    failClosed: '503',
    failOpen: 'unverified',
  },
  {
    name: 'bytes arrive a few at a time',
    toxics: both({ type: 'slicer', attributes: { average_size: 7, size_variation: 5, delay: 10 } }),
    failClosed: 'verified',
    failOpen: 'verified',
  },
];

/** The table of docs/operations.md. */
export function faultTable(): string {
  const header =
    '| fault | `failure_mode_allow: false` | `failure_mode_allow: true` |\n| --- | --- | --- |\n';
  const rows = FAULTS.map(
    ({ name, failClosed, failOpen }) => `| ${name} | ${TEXTS[failClosed]} | ${TEXTS[failOpen]} |\n`,
  );
  return header + rows.join('');
}

const TEXTS: Readonly<Record<Seen, string>> = {
  verified: 'no effect',
  unverified: 'allowed, unverified',
  503: '503',
};
