/** Says whether expired tokens suggest a wrong clock rather than old tokens. */
import { type Tally, totalOf } from './snapshot.ts';
import { formatShare, plural } from './words.ts';

/** Fewer expired tokens say nothing. */
const MIN_EXPIRED = 20;
/** Clients send a token until it expires, so some always arrive a moment late; a clock makes nearly all of them late. */
const MIN_SHARE = 0.5;

/** `undefined` if there is nothing to say. */
export function clockHint(overshoots: Tally, notYetValid: number): string | undefined {
  const expired = totalOf(overshoots);
  const slightly = overshoots['under_1m'] ?? 0;
  if (notYetValid > 0)
    return `${plural(notYetValid, 'token was', 'tokens were')} not valid yet: check this machine’s clock, which may be slow`;
  if (expired < MIN_EXPIRED || slightly < MIN_SHARE * expired) return undefined;
  return `${formatShare(slightly, expired)} of expired tokens missed by less than 60 s: check clocks, then clockToleranceSeconds`;
}
