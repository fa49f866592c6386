/** Lists how the SDKs read the target of a request (RFC 9421 §2.2): the derived components in which they differ. */
import { parseQueryParameters, type QueryParameters } from './query-parameters.ts';
import { pathWithoutQuery, queryOf, type SignedRequest } from './signed-request.ts';

/** The target in the forms that the readings take their components from. */
export interface Target {
  readonly scheme: string;
  /** As received. */
  readonly authority: string;
  /** In lower case, without port. */
  readonly host: string;
  /** In lower case, without the scheme's default port (RFC 9421 §2.2.3). */
  readonly normalAuthority: string;
  /** In lower case, always with a port where one is known. */
  readonly authorityWithPort: string;
  /** Without query. */
  readonly path: string;
  readonly query: string | undefined;
  /** Parsed when first needed, and once. */
  readonly queryParameters: () => QueryParameters;
}

const DEFAULT_PORTS: Readonly<Record<string, string>> = { http: '80', https: '443' };

/** Host and port, without what delimits the parts of a URL. */
const AUTHORITY = /^(\[[0-9a-f:.]+\]|[^\s:/?#@[\]\\]+)(?::(\d*))?$/;

/** Others could become ASCII in lower case, as the Kelvin sign becomes a `k`. */
const PRINTABLE_ASCII = /^[ -~]*$/;
/** Stands for any bytes that are not UTF-8, which the client may not have signed. */
const REPLACEMENT_CHARACTER = '\ufffd';

/** `undefined` if host and path are not those of a URL: joined, they could read like those of another one. */
export function targetOf({ scheme, authority, path }: SignedRequest): Target | undefined {
  if (!PRINTABLE_ASCII.test(authority) || path.includes(REPLACEMENT_CHARACTER)) return undefined;
  const [, host, sentPort = ''] = AUTHORITY.exec(authority.toLowerCase()) ?? [];
  if (host === undefined || !path.startsWith('/')) return undefined;
  const lowerScheme = scheme.toLowerCase();
  const defaultPort = DEFAULT_PORTS[lowerScheme] ?? '';
  const port = sentPort === '' ? defaultPort : sentPort;
  const query = queryOf(path);
  let queryParameters: QueryParameters | undefined;
  return {
    scheme: lowerScheme,
    authority,
    host,
    normalAuthority: port === defaultPort ? host : `${host}:${port}`,
    authorityWithPort: port === '' ? host : `${host}:${port}`,
    path: pathWithoutQuery(path),
    query,
    queryParameters: () => {
      queryParameters ??= parseQueryParameters(query);
      return queryParameters;
    },
  };
}

/** `undefined`: this reading has no such component. */
type Read = (target: Target) => string | undefined;

export interface TargetReading {
  readonly because: string;
  readonly targetUri: Read;
  readonly authority: Read;
  readonly path: Read;
  readonly query: Read;
  /** Whether `@query-param` is decoded rather than encoded again. */
  readonly hasDecodedParameters: boolean;
}

const RFC = {
  because: 'as RFC 9421 has it, and Approov for Android 3.8, Unity and MAUI',
  targetUri: (target) => `${target.scheme}://${target.authority}${sentPath(target)}`,
  authority: (target) => target.normalAuthority,
  path: ({ path }) => path,
  query: ({ query = '' }) => `?${query}`,
  hasDecodedParameters: false,
} as const satisfies TargetReading;

/**
 * A signature is verified with one reading for all its components, in this order. A component that two requests have in
 * common, under whichever readings, has the same meaning in both, so that no reading makes a signature valid for another
 * resource. The exception is `@authority` without its port, as okhttp and iOS sign it.
 */
export const TARGET_READINGS = {
  rfc9421: RFC,
  okhttp: {
    ...RFC,
    because: 'okhttp and retrofit to 3.7: `@authority` without port, `@query` without `?`',
    authority: ({ host }) => host,
    query: queryWithoutMark,
    hasDecodedParameters: true,
  },
  ios: {
    because: 'iOS: an empty path stays empty, `@path` is decoded, `@authority` is without port',
    targetUri: uriWithEmptyPath,
    authority: ({ host }) => host,
    path: ({ path }) => (path === '/' ? '' : decodePath(path)),
    query: queryWithoutMark,
    hasDecodedParameters: true,
  },
  flutter: {
    ...RFC,
    because: 'Flutter: an empty path stays empty in `@target-uri`, `@query` without `?`',
    targetUri: uriWithEmptyPath,
    query: queryWithoutMark,
    hasDecodedParameters: true,
  },
  normalised: {
    ...RFC,
    because: 'the URL was written without the default port, or in lower case',
    targetUri: (target) => `${target.scheme}://${target.normalAuthority}${sentPath(target)}`,
  },
  explicitPort: {
    ...RFC,
    because: 'the URL was written with the default port',
    targetUri: (target) => `${target.scheme}://${target.authorityWithPort}${sentPath(target)}`,
    authority: ({ authorityWithPort }) => authorityWithPort,
  },
} as const satisfies Readonly<Record<string, TargetReading>>;

export type TargetReadingName = keyof typeof TARGET_READINGS;

export const TARGET_READING_NAMES = Object.keys(TARGET_READINGS) as readonly TargetReadingName[];

/** `@request-target` (RFC 9421 §2.2.5), which all read alike. */
export function sentPath({ path, query }: Target): string {
  return query === undefined ? path : `${path}?${query}`;
}

function uriWithEmptyPath(target: Target): string {
  const path = target.path === '/' ? '' : target.path;
  return `${target.scheme}://${target.authority}${sentPath({ ...target, path })}`;
}

/** A query that begins with `?` has none, or `/a??b` would read like `/a?b` under RFC 9421. */
function queryWithoutMark({ query = '' }: Target): string | undefined {
  return query.startsWith('?') ? undefined : query;
}

/** What a path cannot contain unencoded, so that no two paths decode to one that means something else. */
const OTHER_ESCAPE = /%(?!20|22|3[CE]|5E|60|7[BCD]|[89A-F][0-9A-F])/i;

function decodePath(path: string): string | undefined {
  if (!path.includes('%')) return path;
  if (OTHER_ESCAPE.test(path)) return undefined;
  try {
    return decodeURIComponent(path);
  } catch {
    return undefined;
  }
}
