/** Writes colours for a terminal. */
import { styleText } from 'node:util';
import type { Io } from './command.ts';

export type Style = 'bold' | 'green' | 'yellow' | 'red';

/** Text in a style, or as it is where colours are not shown. */
export type Paint = (style: Style, text: string) => string;

export function paintFor({ hasColors }: Pick<Io, 'hasColors'>): Paint {
  // Whether the stream shows colours is known already.
  return hasColors ? (style, text) => styleText(style, text, { validateStream: false }) : (_, text) => text;
}
