/** The behaviours of Envoy that the service and its samples rely on: a row each, with a way to break it. */
import { expect } from 'vitest';
import type { Alteration } from './altering-proxy.ts';
import { ANSWER_ROWS } from './answer-rows.ts';
import { HEADER_ROWS } from './header-rows.ts';
import { OUTAGE_ROWS } from './outage-rows.ts';
import { REQUEST_ROWS } from './request-rows.ts';
import type { Variant, World } from './world.ts';

export interface Row {
  /** What Envoy does, as a sentence. */
  readonly behaviour: string;
  /** What would happen if it did not. */
  readonly otherwise: string;
  /** Fails an assertion unless Envoy behaves so. */
  readonly check: (world: World) => Promise<void>;
  /** How the service behaves meanwhile. Default: as it is. */
  readonly given?: Alteration;
  /** With the service broken in this way, or Envoy’s configuration, `check` must fail an assertion. */
  readonly broken: Alteration | { readonly variant: Variant };
}

export const SECTIONS: readonly { readonly title: string; readonly rows: readonly Row[] }[] = [
  { title: 'Answers', rows: ANSWER_ROWS },
  { title: 'Result headers', rows: HEADER_ROWS },
  { title: 'What a CheckRequest holds', rows: REQUEST_ROWS },
  { title: 'Outages', rows: OUTAGE_ROWS },
];

/** @throws unless the row holds. */
export async function checkRow({ check, given = {} }: Row, world: World): Promise<void> {
  world.proxy.alter(given);
  try {
    await check(world);
  } finally {
    world.proxy.alter({});
  }
}

/** @throws unless an assertion of the row fails with a broken service. */
export async function checkBrokenRow({ check, broken }: Row, world: World): Promise<void> {
  world.proxy.alter('variant' in broken ? {} : broken);
  world.breakSample('variant' in broken ? broken.variant : undefined);
  try {
    // Any other error, such as that of an Envoy that does not start, shows nothing about the row.
    await expect(check(world)).rejects.toThrow(expect.objectContaining({ name: 'AssertionError' }));
  } finally {
    world.breakSample(undefined);
    world.proxy.alter({});
  }
}
