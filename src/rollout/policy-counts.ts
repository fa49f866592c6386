/** Counts the checks of one policy, by minute and by hour, in bounded memory. */
import { BucketRing } from './bucket-ring.ts';
import { groupOf, OUTCOMES, type Outcome, OVERSHOOTS } from './outcomes.ts';
import { Sketch } from './sketch.ts';
import { HOUR_SECONDS, HOURS, MINUTE_SECONDS, MINUTES, type PolicySnapshot, type Tally } from './snapshot.ts';

const SLOTS = Object.fromEntries(OUTCOMES.map((outcome, slot) => [outcome, slot])) as Readonly<
  Record<Outcome, number>
>;

interface Hour {
  readonly outcomes: Float64Array;
  readonly words: Map<string, number>;
  readonly overshoots: Map<string, number>;
  readonly judgedVersions: Map<string, number>;
  readonly verifiedVersions: Map<string, number>;
  readonly devices: Map<string, Sketch>;
}

export class PolicyCounts {
  readonly #minutes = new BucketRing(MINUTE_SECONDS, MINUTES, () => new Float64Array(OUTCOMES.length));
  readonly #hours = new BucketRing(HOUR_SECONDS, HOURS, createHour);

  /**
   * Takes no object: it is called for every check.
   * @param device the hash of the device; `undefined` if it is not counted.
   * @param appVersion one of a closed set.
   */
  add(
    outcome: Outcome,
    nowSeconds: number,
    device: number | undefined,
    appVersion: string | undefined,
  ): void {
    const slot = SLOTS[outcome];
    const minute = this.#minutes.at(nowSeconds);
    const hour = this.#hours.at(nowSeconds);
    minute[slot] = (minute[slot] ?? 0) + 1;
    hour.outcomes[slot] = (hour.outcomes[slot] ?? 0) + 1;
    const group = groupOf(outcome);
    if (device !== undefined) sketchOf(hour.devices, group).add(device);
    if (appVersion === undefined) return;
    increment(hour.judgedVersions, appVersion);
    if (group === 'verified') increment(hour.verifiedVersions, appVersion);
  }

  /** @param word one of a closed set. */
  addWord(word: string, nowSeconds: number): void {
    increment(this.#hours.at(nowSeconds).words, word);
  }

  addExpired(seconds: number, nowSeconds: number): void {
    increment(this.#hours.at(nowSeconds).overshoots, overshootOf(seconds));
  }

  snapshot(): Pick<PolicySnapshot, 'minutes' | 'hours'> {
    return {
      minutes: this.#minutes.buckets().map(({ number, content }) => ({ number, outcomes: tallyOf(content) })),
      hours: this.#hours.buckets().map(({ number, content }) => ({
        number,
        outcomes: tallyOf(content.outcomes),
        words: Object.fromEntries(content.words),
        overshoots: Object.fromEntries(content.overshoots),
        judgedVersions: Object.fromEntries(content.judgedVersions),
        verifiedVersions: Object.fromEntries(content.verifiedVersions),
        devices: Object.fromEntries(
          Array.from(content.devices, ([group, sketch]) => [group, sketch.encode()]),
        ),
      })),
    };
  }
}

function createHour(): Hour {
  return {
    outcomes: new Float64Array(OUTCOMES.length),
    words: new Map(),
    overshoots: new Map(),
    judgedVersions: new Map(),
    verifiedVersions: new Map(),
    devices: new Map(),
  };
}

function sketchOf(devices: Map<string, Sketch>, group: string): Sketch {
  const known = devices.get(group);
  if (known !== undefined) return known;
  const sketch = new Sketch();
  devices.set(group, sketch);
  return sketch;
}

function increment(counts: Map<string, number>, name: string): void {
  counts.set(name, (counts.get(name) ?? 0) + 1);
}

function overshootOf(seconds: number): string {
  return (OVERSHOOTS.find(({ belowSeconds }) => seconds < belowSeconds) ?? OVERSHOOTS[3]).name;
}

/** Without the outcomes that did not occur. */
function tallyOf(counts: Float64Array): Tally {
  return Object.fromEntries(
    OUTCOMES.flatMap((outcome) => {
      const count = counts[SLOTS[outcome]] ?? 0;
      return count === 0 ? [] : [[outcome, count]];
    }),
  );
}
