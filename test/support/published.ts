/** Reads the tokens and signed messages that Approov published. */
import { readFileSync } from 'node:fs';

export interface PublishedToken {
  readonly name: string;
  readonly secret_base64: string;
  readonly token: string | null;
  readonly headers: Readonly<Record<string, string>>;
  readonly binding_headers: readonly string[];
  readonly expect: string;
}

export interface PublishedMessage extends PublishedToken {
  readonly token: string;
  readonly method: string;
  readonly url: string;
  readonly signature_base?: string;
}

/** With the messages, whose tokens are vectors too. */
export const PUBLISHED_TOKENS = JSON.parse(
  readFileSync(new URL('vectors/approov-published.json', import.meta.url), 'utf8'),
) as readonly PublishedToken[];

export const PUBLISHED_MESSAGES = PUBLISHED_TOKENS.filter((vector): vector is PublishedMessage =>
  vector.name.startsWith('msg'),
);
