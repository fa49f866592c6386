/** Reloads the configuration, rotates keys and kills workers while checks are sent. */
import { setTimeout as sleep } from 'node:timers/promises';

const PERIOD_MS = 15_000;
/** A changed file is loaded within 5 s. */
const RELOAD_MS = 8_000;
const POLL_MS = 200;
/** Workers are killed in the first quarter only, so that the memory of the rest is that of the same processes. */
const DEATHS_SHARE = 0.25;

/**
 * @param {import('./subject.mjs').Subject} subject
 * @param {import('./traffic.mjs').Traffic} traffic
 * @param {number} seconds how long the soak lasts
 * @param {(line: string) => void} print
 */
export function startEvents(subject, traffic, seconds, print) {
  const startMs = performance.now();
  const counts = { reloads: 0, rotations: 0, deaths: 0 };
  /** @type {{ seconds: number, kind: string }[]} */
  const log = [];
  let isStopped = false;
  let slot = 0;
  traffic.signWith(/** @type {Buffer} */ (subject.secrets[slot]));

  const elapsed = () => (performance.now() - startMs) / 1000;

  /** Writes a secret over the one that is not used, and signs with it once it is loaded. */
  async function rotate() {
    const next = 1 - slot;
    const last = /** @type {Buffer} */ (subject.secrets[next]);
    subject.writeSecret(next);
    await sleep(RELOAD_MS);
    traffic.signWith(/** @type {Buffer} */ (subject.secrets[next]));
    traffic.retire(last);
    slot = next;
    counts.rotations++;
  }

  async function reload() {
    counts.reloads++;
    subject.writeConfig(counts.reloads);
  }

  async function killWorker() {
    const [worker] = subject.workers();
    if (worker === undefined) return;
    process.kill(worker, 'SIGKILL');
    counts.deaths++;
    while (!isStopped && !(await subject.isReady().catch(() => false))) await sleep(POLL_MS);
  }

  const KINDS = [
    { kind: 'reload', run: reload },
    { kind: 'rotation', run: rotate },
    { kind: 'death', run: killWorker },
  ];

  async function run() {
    for (let round = 0; !isStopped; round++) {
      await sleep(PERIOD_MS);
      const { kind, run: act } = /** @type {typeof KINDS[number]} */ (KINDS[round % KINDS.length]);
      if (isStopped || (kind === 'death' && elapsed() > seconds * DEATHS_SHARE)) continue;
      // An event takes seconds, so none may begin just before the end.
      if (elapsed() > seconds - 2 * (RELOAD_MS / 1000)) return;
      log.push({ seconds: elapsed(), kind });
      print(`${elapsed().toFixed(0)} s: ${kind}`);
      await act();
    }
  }
  const running = run();

  return {
    counts,
    log,
    async stop() {
      isStopped = true;
      await running;
    },
  };
}
