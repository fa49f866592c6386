/** Shows the overrides that are active, and sets and ends them, for clients on this machine. */
import type { IncomingMessage } from 'node:http';
import { formatProblem } from '../config/config.ts';
import { nearest } from '../config/nearest.ts';
import { type OverrideMode, type OverrideRequest, parseOverrideRequest } from '../config/override-request.ts';
import { isLocal, refuseRemote } from './local-client.ts';
import { jsonPage, type Page, textPage } from './page.ts';

export interface ActiveOverride {
  readonly policy: string;
  readonly mode: OverrideMode;
  /** The mode that returns when the override ends. */
  readonly configured_mode: string;
  readonly reason: string;
  /** ISO 8601. */
  readonly started_at: string;
  readonly ends_at: string;
  readonly seconds_left: number;
}

/** What a request came to. */
export type OverrideOutcome =
  | {
      readonly kind: 'done';
      readonly policy: string;
      readonly configured_mode: string;
      /** `null`: none, as it was cleared. */
      readonly active: ActiveOverride | null;
      /** The one that was replaced or cleared, if there was one. */
      readonly ended: ActiveOverride | null;
    }
  | { readonly kind: 'unknown_policy'; readonly known: readonly string[] };

export interface Overrides {
  readonly active: () => readonly ActiveOverride[];
  readonly apply: (request: OverrideRequest) => OverrideOutcome;
}

const MAX_BODY_BYTES = 4096;

export async function overridePage(request: IncomingMessage, overrides: Overrides): Promise<Page> {
  if (!isLocal(request)) return refuseRemote();
  if (request.method === 'GET') return jsonPage(200, { overrides: overrides.active() });
  return refusal(request) ?? answer(await readBody(request), overrides);
}

/** A page on the web can make a browser send a request to loopback, but not without `Origin` and with this type. */
function refusal({ headersDistinct }: IncomingMessage): Page | undefined {
  if (headersDistinct['origin'] !== undefined) return textPage(403, 'not from a web page');
  const types = headersDistinct['content-type'] ?? [];
  const isJson =
    types.length === 1 && /^application\/json\s*(;\s*charset="?utf-8"?\s*)?$/i.test(types[0] ?? '');
  return isJson ? undefined : textPage(415, 'content-type must be application/json');
}

type Body =
  | { readonly kind: 'read'; readonly text: string }
  | { readonly kind: 'too_long' }
  /** The client closed the connection, or was too slow. */
  | { readonly kind: 'incomplete' };

async function readBody(request: IncomingMessage): Promise<Body> {
  const chunks: Buffer[] = [];
  let bytes = 0;
  try {
    for await (const chunk of request as AsyncIterable<Buffer>) {
      bytes += chunk.length;
      if (bytes > MAX_BODY_BYTES) return { kind: 'too_long' };
      chunks.push(chunk);
    }
  } catch {
    return { kind: 'incomplete' };
  }
  return { kind: 'read', text: Buffer.concat(chunks).toString() };
}

function answer(body: Body, overrides: Overrides): Page {
  if (body.kind === 'too_long') return textPage(413, `body of more than ${MAX_BODY_BYTES} bytes`);
  if (body.kind === 'incomplete') return textPage(400, 'incomplete body');
  const parsed = parseJson(body.text);
  if (parsed === undefined) return textPage(400, 'body is not JSON');
  const request = parseOverrideRequest(parsed);
  if (request.kind === 'invalid') return textPage(400, request.problems.map(formatProblem).join('\n'));
  const outcome = overrides.apply(request);
  if (outcome.kind === 'unknown_policy')
    return textPage(404, `unknown policy; ${adviceFor(request.policy, outcome.known)}`);
  const { kind: _, ...done } = outcome;
  return jsonPage(200, done);
}

function adviceFor(name: string, known: readonly string[]): string {
  const meant = nearest(name, known);
  return meant === undefined ? `known: ${known.join(', ')}` : `did you mean ${meant}?`;
}

function parseJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}
