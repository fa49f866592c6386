/** Defines the one error for key material that cannot be used. */
import type { TextPosition } from './json-syntax.ts';

/** A secret, a public key or a private key cannot be used. The message quotes none of it. */
export class KeyError extends Error {
  override readonly name = 'KeyError';
  /** Where in the text, if at one place. */
  readonly position: TextPosition | undefined;

  constructor(message: string, position?: TextPosition) {
    super(message);
    this.position = position;
  }
}
