/** Defines the answer to a request for an admin page, and makes those of HTML, text and JSON. */
import type { IncomingMessage } from 'node:http';
import { HTML_HEADERS } from './html.ts';

export interface Page {
  readonly status: number;
  readonly contentType: string;
  readonly body: string;
  /** Besides those of every page. */
  readonly headers?: Readonly<Record<string, string>>;
}

export type PageHandler = (request: IncomingMessage) => Page | Promise<Page>;

export function htmlPage(html: string): Page {
  return { status: 200, contentType: 'text/html; charset=utf-8', body: html, headers: HTML_HEADERS };
}

export function textPage(status: number, text: string): Page {
  return { status, contentType: 'text/plain; charset=utf-8', body: `${text}\n` };
}

export function jsonPage(status: number, value: unknown): Page {
  return { status, contentType: 'application/json', body: `${JSON.stringify(value, null, 2)}\n` };
}
