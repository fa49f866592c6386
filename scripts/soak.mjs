/**
 * `npm run soak -- [--minutes 60] [--checks 2000000] [--transport grpc-js]`: sends a service mixed checks at a steady rate
 * while its configuration is reloaded, its keys are rotated and its workers are killed. Compares every answer with the
 * expected one, and writes docs/soak.json and docs/soak.svg. A wrong answer or growing memory fails it. Needs Linux's /proc.
 */
import { writeFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import { startEvents } from './soak/events.mjs';
import { drawSoak } from './soak/plot.mjs';
import { failuresOf, startSampling, summarize } from './soak/samples.mjs';
import { startSubject } from './soak/subject.mjs';
import { startTraffic } from './soak/traffic.mjs';

const DOCS = fileURLToPath(new URL('../docs/', import.meta.url));

const { values } = parseArgs({
  options: {
    minutes: { type: 'string', default: '60' },
    checks: { type: 'string', default: '2000000' },
    transport: { type: 'string', default: 'grpc-js' },
  },
});
const seconds = Number(values.minutes) * 60;
const rate = Number(values.checks) / seconds;
if (!(seconds > 0) || !(rate > 0)) {
  process.stderr.write('soak: --minutes and --checks must be numbers above 0\n');
  process.exit(2);
}

const print = (/** @type {string} */ line) => process.stdout.write(`${line}\n`);

const subject = await startSubject(values.transport);
const traffic = startTraffic(subject, rate);
const events = startEvents(subject, traffic, seconds, print);
const sampling = startSampling(subject);
print(
  `soak: ${values.checks} checks in ${values.minutes} min, ${rate.toFixed(0)} a second, over ${values.transport}`,
);

await new Promise((resolve) => setTimeout(resolve, seconds * 1000));
await events.stop();
const counts = await traffic.stop();
const samples = sampling.stop();
await subject.stop();

const result = {
  date: new Date().toISOString().slice(0, 10),
  node: process.version,
  transport: values.transport,
  minutes: seconds / 60,
  ...counts,
  events: events.counts,
  ...summarize(samples),
};
const suffix = values.transport === 'grpc-js' ? '' : `-${values.transport}`;
writeFileSync(`${DOCS}soak${suffix}.json`, `${JSON.stringify(result, null, 2)}\n`);
writeFileSync(`${DOCS}soak${suffix}.svg`, drawSoak(samples, events.log, result));
print(JSON.stringify(result, null, 2));
const failures = failuresOf(result);
for (const failure of failures) process.stderr.write(`soak: ${failure}\n`);
process.exit(failures.length === 0 ? 0 : 1);
