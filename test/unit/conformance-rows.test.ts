/** Tests what counts as the failure of a conformance row, without an Envoy. */
import { describe, expect, test } from 'vitest';
import { EnvoyError } from '../../scripts/find-envoy.mjs';
import { checkBrokenRow, checkRow, type Row } from '../conformance/rows.ts';
import type { World } from '../conformance/world.ts';

/** A world that notes how it is changed. */
function recordingWorld() {
  const changes: unknown[] = [];
  const world = {
    proxy: { alter: (alteration: unknown) => changes.push(alteration) },
    breakSample: (variant: unknown) => changes.push(variant),
  };
  return { changes, world: world as unknown as World };
}

const row = (check: Row['check'], more: Partial<Row> = {}): Row => ({
  behaviour: '',
  otherwise: '',
  broken: { ignoresTimeout: true },
  check,
  ...more,
});

const failing = async () => expect(1).toBe(2);
const holding = async () => expect(1).toBe(1);
const unready = async () => {
  throw new EnvoyError('envoy exited: no output');
};

describe('a row with a broken service', () => {
  test('is shown to be sensitive by a failed assertion', async () => {
    await expect(checkBrokenRow(row(failing), recordingWorld().world)).resolves.toBeUndefined();
  });

  test('is not if it holds, or if it ends with another error, such as that of an Envoy that does not start', async () => {
    const { world } = recordingWorld();
    await expect(checkBrokenRow(row(holding), world)).rejects.toThrow('promise resolved');
    await expect(checkBrokenRow(row(unready), world)).rejects.toThrow('asymmetric matcher');
  });

  test.each([
    ['the service', row(unready), [{ ignoresTimeout: true }, undefined, undefined, {}]],
    ['the sample', row(unready, { broken: { variant: 'bare' } }), [{}, 'bare', undefined, {}]],
  ])('leaves %s as it was for the next row, whatever happened', async (_, broken, expected) => {
    const { changes, world } = recordingWorld();
    await expect(checkBrokenRow(broken, world)).rejects.toThrow();
    expect(changes).toEqual(expected);
  });
});

test('a row that does not hold leaves the service as it was', async () => {
  const { changes, world } = recordingWorld();
  await expect(checkRow(row(failing, { given: { isServing: false } }), world)).rejects.toThrow('to be 2');
  expect(changes).toEqual([{ isServing: false }, {}]);
});
