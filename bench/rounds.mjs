/** Runs the rounds of one part: every contender in turn, with several instances of each over the rounds. */
import { BenchError } from './errors.mjs';
import { startFleet } from './fleet.mjs';
import { closedLoop, createTally, inTurn, openLoop } from './load.mjs';
import { startPacer } from './pacer.mjs';
import { poissonArrivals } from './schedule.mjs';
import { percentile } from './statistics.mjs';

/** The one whose latency is measured. */
const FIXED_RATE_SCENARIO = 'hot';

/** Servers and Envoy give up after 5 s, so that only a broken one leaves a request without an answer. */
const ANSWER_SECONDS = 60;

/** @typedef {import('./contenders.mjs').Contender} Contender */
/** @typedef {import('./load.mjs').Sender} Sender */

/**
 * Where contenders are measured.
 * @typedef {object} Field
 * @property {(contender: Contender) => Promise<Lane>} openLane
 * @property {string} [version] of its Envoy
 * @property {() => Promise<void>} close
 */

/**
 * What measures one contender.
 * @typedef {object} Lane
 * @property {readonly Sender[]} senders
 * @property {readonly import('./load.mjs').Request[]} requests sent in turn
 * @property {() => { serverNanoseconds: number, envoyNanoseconds: number }} cpu used so far
 */

/**
 * @typedef {object} Pace
 * @property {number} rounds
 * @property {number} instances of each server, one after another: V8 optimizes each process differently
 * @property {number} warmUpSeconds for each contender, in each instance
 * @property {number} sliceSeconds in a closed loop, for each contender in each round
 * @property {number} perSecond the fixed rate
 * @property {number} rateSeconds at the fixed rate, for each contender in each round
 */

/**
 * What a contender's rounds measured. Without Envoy, `envoyMicros` are 0.
 * @typedef {object} Series
 * @property {Contender} contender
 * @property {number[]} serverMicros CPU per request
 * @property {number[]} envoyMicros CPU per request
 * @property {number[]} perSecond
 * @property {number[]} p50Millis
 * @property {number[]} p99Millis
 */

/**
 * @typedef {object} PartResult
 * @property {Series[]} series
 * @property {{ label: string, mebibytes: number[] }[]} memory after the load
 * @property {string | undefined} envoyVersion
 */

/**
 * @param {readonly Contender[]} contenders
 * @param {import('./available.mjs').Commands} commands
 * @param {(fleet: import('./fleet.mjs').Fleet) => Field | Promise<Field>} openField
 * @param {Pace} pace
 * @param {(words: string) => void} progress
 * @returns {Promise<PartResult>}
 */
export async function runRounds(contenders, commands, openField, pace, progress) {
  const series = contenders.map(newSeries);
  /** @type {Map<string, number[]>} */
  const memory = new Map();
  const pacer = startPacer();
  let envoyVersion;
  let round = 0;
  for (let instance = 1; instance <= pace.instances; instance++) {
    progress(`starting instance ${instance} of ${pace.instances} of each server`);
    const fleet = await startFleet(contenders, commands);
    const field = await openField(fleet);
    envoyVersion = field.version;
    const lanes = await openLanes(series, field);
    for (const lane of lanes) await closedSlice(lane, pace.warmUpSeconds, lane.requests.length);
    const lastRound = Math.round((pace.rounds * instance) / pace.instances);
    for (; round < lastRound; round++) {
      progress(`round ${round + 1} of ${pace.rounds}`);
      await runRound(rotated(lanes, round), pace, pacer);
    }
    for (const { label, mebibytes } of fleet.residentMebibytes()) {
      memory.set(label, [...(memory.get(label) ?? []), mebibytes]);
    }
    for (const { senders } of lanes) for (const sender of senders) sender.close();
    await field.close();
    await fleet.stop();
  }
  await pacer.close();
  return { series, memory: Array.from(memory, ([label, mebibytes]) => ({ label, mebibytes })), envoyVersion };
}

/** @param {Contender} contender @returns {Series} */
function newSeries(contender) {
  return { contender, serverMicros: [], envoyMicros: [], perSecond: [], p50Millis: [], p99Millis: [] };
}

/** @typedef {Lane & { series: Series, nextRequest: () => import('./load.mjs').Request }} OpenLane */

/**
 * @param {readonly Series[]} series
 * @param {Field} field
 */
async function openLanes(series, field) {
  /** @type {OpenLane[]} */
  const lanes = [];
  for (const one of series) {
    const lane = await field.openLane(one.contender);
    lanes.push({ ...lane, series: one, nextRequest: inTurn(lane.requests) });
  }
  return lanes;
}

/**
 * @param {readonly OpenLane[]} lanes
 * @param {Pace} pace
 * @param {import('./pacer.mjs').Pacer} pacer
 */
async function runRound(lanes, { sliceSeconds, perSecond, rateSeconds }, pacer) {
  for (const lane of lanes) {
    const slice = await closedSlice(lane, sliceSeconds);
    lane.series.serverMicros.push(slice.serverMicros);
    lane.series.envoyMicros.push(slice.envoyMicros);
    lane.series.perSecond.push(slice.perSecond);
  }
  for (const lane of lanes.filter(({ series }) => series.contender.scenario.id === FIXED_RATE_SCENARIO)) {
    const tally = createTally();
    const arrivals = poissonArrivals(perSecond, Math.round(perSecond * rateSeconds));
    const sent = openLoop(lane.senders, lane.nextRequest, arrivals, tally, pacer);
    const latencies = await answered(sent, rateSeconds, lane);
    tally.check(`${nameOf(lane)}, at ${perSecond}/s`);
    lane.series.p50Millis.push(percentile(latencies, 0.5));
    lane.series.p99Millis.push(percentile(latencies, 0.99));
  }
}

/**
 * @param {OpenLane} lane
 * @param {number} seconds
 * @param {number} [minimum] of requests
 */
async function closedSlice(lane, seconds, minimum = 1) {
  const tally = createTally();
  const before = lane.cpu();
  const sent = closedLoop(lane.senders, lane.nextRequest, { seconds, minimum }, tally);
  const { count, seconds: taken } = await answered(sent, seconds, lane);
  const after = lane.cpu();
  tally.check(nameOf(lane));
  return {
    serverMicros: (after.serverNanoseconds - before.serverNanoseconds) / count / 1000,
    envoyMicros: (after.envoyNanoseconds - before.envoyNanoseconds) / count / 1000,
    perSecond: count / taken,
  };
}

/**
 * Ends the run if a server leaves requests without an answer.
 * @template T
 * @param {Promise<T>} sent
 * @param {number} seconds of the load
 * @param {OpenLane} lane
 * @returns {Promise<T>}
 */
async function answered(sent, seconds, lane) {
  const error = new BenchError(`${nameOf(lane)}: no answer for ${ANSWER_SECONDS} s`);
  /** @type {NodeJS.Timeout | undefined} */
  let timer;
  const late = new Promise((_, reject) => {
    timer = setTimeout(reject, (seconds + ANSWER_SECONDS) * 1000, error);
  });
  try {
    return await Promise.race([sent, /** @type {Promise<never>} */ (late)]);
  } finally {
    clearTimeout(timer);
  }
}

/** @param {OpenLane} lane */
function nameOf({ series: { contender } }) {
  return `${contender.label}, ${contender.scenario.label}`;
}

/**
 * Each round starts with another contender, so that none always follows the same one.
 * @template T
 * @param {readonly T[]} items
 * @param {number} by
 */
function rotated(items, by) {
  const start = items.length === 0 ? 0 : by % items.length;
  return [...items.slice(start), ...items.slice(0, start)];
}
