/** Queries the HTTP API of Prometheus. */
import * as z from 'zod';
import { hasCredentials } from '../../config/url.ts';
import { describeConnectionError } from '../../sources/connection-problem.ts';
import { UsageError } from '../command.ts';

/** For one query over a day, on a Prometheus that is busy. */
const TIMEOUT_SECONDS = 30;

export interface Sample {
  readonly labels: Readonly<Record<string, string>>;
  readonly value: number;
}

export interface Series {
  readonly labels: Readonly<Record<string, string>>;
  readonly points: readonly { readonly seconds: number; readonly value: number }[];
}

export interface Prometheus {
  /** Rejects with {@link PrometheusError}, as does the next one. */
  query(expression: string): Promise<readonly Sample[]>;
  queryRange(
    expression: string,
    range: { readonly start: number; readonly end: number; readonly step: number },
  ): Promise<readonly Series[]>;
}

/** Prometheus did not answer. The message is one line without the URL, whose query may be secret. */
export class PrometheusError extends Error {
  override readonly name = 'PrometheusError';
}

const POINT = z.tuple([z.number(), z.string()]);
const LABELS = z.record(z.string(), z.string());
const ANSWER = z.union([
  z.object({
    status: z.literal('success'),
    data: z.union([
      z.object({
        resultType: z.literal('vector'),
        result: z.array(z.object({ metric: LABELS, value: POINT })),
      }),
      z.object({
        resultType: z.literal('matrix'),
        result: z.array(z.object({ metric: LABELS, values: z.array(POINT) })),
      }),
    ]),
  }),
  z.object({ status: z.literal('error'), errorType: z.string(), error: z.string() }),
]);
type Data = Extract<z.infer<typeof ANSWER>, { status: 'success' }>['data'];

/**
 * @param url of the server, with its path prefix if it has one.
 * @throws {UsageError} it is not a URL to ask.
 */
export function connectPrometheus(url: string): Prometheus {
  const base = parseUrl(url);

  async function ask(path: string, parameters: Readonly<Record<string, string>>): Promise<Data> {
    const target = new URL(`${base.pathname.replace(/\/$/, '')}/api/v1/${path}`, base);
    const answer = ANSWER.safeParse(await post(target, new URLSearchParams(parameters))).data;
    if (answer === undefined) throw new PrometheusError('does not answer like Prometheus');
    if (answer.status === 'error') throw new PrometheusError(`${answer.errorType}: ${answer.error}`);
    return answer.data;
  }

  return {
    async query(expression) {
      const data = await ask('query', { query: expression });
      if (data.resultType !== 'vector') throw new PrometheusError('does not answer like Prometheus');
      return data.result.map(({ metric, value }) => ({ labels: metric, value: Number(value[1]) }));
    },
    async queryRange(expression, { start, end, step }) {
      const data = await ask('query_range', {
        query: expression,
        start: String(start),
        end: String(end),
        step: String(step),
      });
      if (data.resultType !== 'matrix') throw new PrometheusError('does not answer like Prometheus');
      return data.result.map(({ metric, values }) => ({
        labels: metric,
        points: values.map(([seconds, value]) => ({ seconds, value: Number(value) })),
      }));
    },
  };
}

function parseUrl(text: string): URL {
  const url = URL.canParse(text) ? new URL(text) : undefined;
  if (url === undefined || !/^https?:$/.test(url.protocol))
    throw new UsageError(
      '--prometheus: must be the URL of a Prometheus server, such as http://prometheus:9090',
    );
  if (hasCredentials(text))
    throw new UsageError(
      '--prometheus: must not have a user name or password, which other users of this machine see',
    );
  return url;
}

/** By POST, as queries are long. */
async function post(target: URL, body: URLSearchParams): Promise<unknown> {
  try {
    const response = await fetch(target, {
      method: 'POST',
      body,
      signal: AbortSignal.timeout(TIMEOUT_SECONDS * 1000),
    });
    if (response.status === 404)
      throw new PrometheusError('answered 404: is this the base URL of a Prometheus server?');
    // An error has a body too, unless a proxy answers.
    const text = await response.text();
    return parseJson(text) ?? { status: 'error', errorType: 'HTTP', error: `status ${response.status}` };
  } catch (error) {
    if (error instanceof PrometheusError) throw error;
    const { name } = error as Error;
    if (name === 'TimeoutError') throw new PrometheusError(`no answer within ${TIMEOUT_SECONDS} s`);
    throw new PrometheusError(describeConnectionError(error as Error));
  }
}

function parseJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}
