/** What an attack may cost, and floods to attack with. */
import { expect } from 'vitest';
import { FRAME, type RawPeer, streamNumber, times } from '../../../../test/support/raw-http2.ts';
import type { Damage } from './attacked-server.ts';

const MIB = 2 ** 20;
/** Kept for one connection under attack. */
const MAX_KEPT_BYTES = 2 * MIB;
/** On top of the largest size before it: mostly garbage that the collector has not come to. */
const MAX_PEAK_BYTES = 64 * MIB;

/** Why the server closes a connection on which many frames serve no call. */
export const GLITCHES = 'too many frames that serve no call';

export const FLOOD = 5000;
const BATCH = 1000;

/** @param errors why the server must have closed connections. */
export function expectBounded(name: string, damage: Damage, errors: readonly string[] = []): void {
  const { answered, slowestMs, keptBytes, peakBytes } = damage;
  const [kept, peak] = [keptBytes, peakBytes].map((bytes) => (bytes / MIB).toFixed(1));
  process.stderr.write(
    `attack: ${name}: ${answered} calls of another client answered, the slowest in ${slowestMs.toFixed(0)} ms; kept ${kept} MiB, peak +${peak} MiB\n`,
  );
  expect(damage.errors).toEqual(errors);
  expect(keptBytes).toBeLessThan(MAX_KEPT_BYTES);
  expect(peakBytes).toBeLessThan(MAX_PEAK_BYTES);
}

/** Writes 5,000 frames or groups of frames, each for a stream of its own or all alike. */
export async function flood(peer: RawPeer, make: (stream: number) => Buffer): Promise<void> {
  for (let from = 0; from < FLOOD && !peer.isClosed; from += BATCH) {
    await peer.write(times(BATCH, (index) => make(streamNumber(from + index))));
  }
}

/** The error codes of the resets of streams. */
export function resetCodes(peer: RawPeer): number[] {
  return peer.received(FRAME.rstStream).map(({ payload }) => payload.readUInt32BE());
}
