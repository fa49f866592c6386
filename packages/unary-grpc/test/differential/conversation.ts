/** Generates valid conversations of a client, unusual but with known responses. */
import fc from 'fast-check';
import { FLAG, FRAME, frame, streamNumber } from '../../../../test/support/raw-http2.ts';
import {
  block,
  data,
  headers,
  message,
  PADDED,
  padded,
  ping,
  REQUEST_FIELDS,
  rstStream,
  settings,
  windowUpdate,
} from '../support/wire.ts';

/** Frames that change nothing, between those of calls. */
const noise = fc.oneof(
  fc.string({ maxLength: 8 }).map((text) => ping(Buffer.from(text).toString('hex').slice(0, 8))),
  fc.constant(settings()),
  fc.integer({ min: 0, max: 0xffff }).map((id) => settings([0x1000 | id, 1])),
  fc.integer({ min: 1, max: 1000 }).map((increment) => windowUpdate(0, increment)),
  fc.uint8Array({ maxLength: 50 }).map((bytes) => frame(0xbb, bytes.length, 0, bytes)),
  fc
    .integer({ min: 1, max: 99 })
    .map((stream) => frame(FRAME.priority, 0, stream, Buffer.from([0, 0, 0, 0, stream]))),
);

/** Cuts bytes into parts, possibly empty ones. */
function cutAt(bytes: Buffer, points: readonly number[]): Buffer[] {
  const sorted = [0, ...points.map((point) => point % (bytes.length + 1)), bytes.length].sort(
    (a, b) => a - b,
  );
  return sorted.slice(1).map((end, index) => bytes.subarray(sorted[index], end));
}

interface GeneratedCall {
  readonly text: string;
  readonly isCancelled: boolean;
  /** One step of a call is a part of its message, or its header block. */
  frames(stream: number): Buffer[];
}

const cuts = fc.array(fc.nat(10_000), { maxLength: 3 });
const paddings = fc.option(fc.nat(255), { nil: undefined });

const generatedCall: fc.Arbitrary<GeneratedCall> = fc
  .record({
    text: fc.string({ unit: 'grapheme-ascii', maxLength: 15 }),
    extra: fc.array(fc.stringMatching(/^[a-z0-9-]{1,12}$/), { maxLength: 4 }),
    headerCuts: cuts,
    messageCuts: cuts,
    padding: paddings,
    endsEmpty: fc.boolean(),
    isCancelled: fc.boolean(),
  })
  .map(({ text, extra, headerCuts, messageCuts, padding, endsEmpty, isCancelled }) => ({
    text,
    isCancelled,
    frames(stream) {
      const fields = block([...REQUEST_FIELDS, ...extra.map((word) => [`x-${word}`, word] as const)]);
      const [first = fields, ...rest] = cutAt(fields, headerCuts);
      const head = rest.map((part, index) =>
        frame(FRAME.continuation, index === rest.length - 1 ? FLAG.endHeaders : 0, stream, part),
      );
      const parts = cutAt(message(text), messageCuts);
      const isLast = (index: number): boolean => index === parts.length - 1 && !endsEmpty && !isCancelled;
      const body = parts.map((part, index) => {
        const end = isLast(index) ? FLAG.endStream : 0;
        return padding === undefined
          ? data(stream, part, end)
          : data(stream, padded(part, padding), PADDED | end);
      });
      const end = isCancelled ? [rstStream(stream, 8)] : endsEmpty ? [data(stream, Buffer.alloc(0))] : [];
      const opening =
        rest.length === 0
          ? headers(stream, first)
          : Buffer.concat([frame(FRAME.headers, 0, stream, first), ...head]);
      return [opening, ...body, ...end];
    },
  }));

export interface Conversation {
  readonly bytes: Buffer;
  readonly outcome: string;
}

/** Calls whose frames alternate, with noise between them. Streams are opened in order (§5.1.1). */
export const conversation: fc.Arbitrary<Conversation> = fc
  .record({
    calls: fc.array(generatedCall, { minLength: 1, maxLength: 6 }),
    order: fc.array(fc.nat(5), { maxLength: 40 }),
    noises: fc.array(fc.option(noise, { nil: undefined, freq: 2 }), { maxLength: 40 }),
  })
  .map(({ calls, order, noises }) => {
    const queues = calls.map((each, index) => each.frames(streamNumber(index)));
    const openings = queues.map((queue) => queue.shift() ?? Buffer.alloc(0));
    const parts: Buffer[] = [];
    let opened = 0;
    const step = (wanted: number): void => {
      if (wanted >= opened && opened < openings.length) parts.push(openings[opened++] ?? Buffer.alloc(0));
      const next = queues[wanted % Math.max(1, opened)]?.shift();
      if (next !== undefined) parts.push(next);
      const between = noises[parts.length % Math.max(1, noises.length)];
      if (between !== undefined) parts.push(between);
    };
    for (const wanted of order) step(wanted);
    for (; opened < openings.length; ) parts.push(openings[opened++] ?? Buffer.alloc(0));
    for (const queue of queues) parts.push(...queue);
    const answered = calls.flatMap(({ text, isCancelled }, index) =>
      isCancelled ? [] : [`${streamNumber(index)}: OK ${text}`],
    );
    return { bytes: Buffer.concat(parts), outcome: answered.join(', ') || 'nothing' };
  });

/** Where to cut the bytes of a conversation. */
export const cutPoints = fc.array(fc.nat(100_000), { minLength: 1, maxLength: 12 });
export { cutAt };
