/** Models how upstream servers turn a request path into the resource that they serve. They are models, not the servers. */

type Step = (path: string) => string;

const dropParameters: Step = (path) => path.replaceAll(/;[^/]*/g, '');
const backslashesToSlashes: Step = (path) => path.replaceAll('\\', '/');
const foldCase: Step = (path) => path.toLowerCase();
const cutAtNul: Step = (path) => path.split('\0')[0] ?? '';
/** Windows ignores trailing dots and spaces in a name, and some servers treat control characters as white space. */
const trimSegments: Step = (path) =>
  path
    .split('/')
    .map((segment) => (/^\s*\.{1,2}\s*$/.test(segment) ? segment.trim() : segment.replace(/[\s.]+$/, '')))
    .join('/');

/** Percent-decoding to bytes, one latin1 character each; text that is not an escape stays. */
const decode: Step = (path) =>
  path.replaceAll(/%([0-9a-f]{2})/gi, (_, hex: string) => String.fromCharCode(Number.parseInt(hex, 16)));

/** The %u escapes of IIS (UTF-16 units); full-width forms become ASCII, as in its best-fit mapping. */
const decodeUnicodeEscapes: Step = (path) =>
  path.replaceAll(/%u([0-9a-f]{4})/gi, (_, hex: string) => asciiOf(Number.parseInt(hex, 16)));

/** Two- and three-byte UTF-8 decoded without the shortest-form check (RFC 3629 section 3). */
const decodeOverlong: Step = (path) =>
  path
    .replaceAll(/([\xc0-\xdf])([\x80-\xbf])/g, (_, first: string, second: string) =>
      asciiOf(((first.charCodeAt(0) & 0x1f) << 6) | (second.charCodeAt(0) & 0x3f)),
    )
    .replaceAll(
      /([\xe0-\xef])([\x80-\xbf])([\x80-\xbf])/g,
      (_, first: string, second: string, third: string) =>
        asciiOf(
          ((first.charCodeAt(0) & 0x0f) << 12) |
            ((second.charCodeAt(0) & 0x3f) << 6) |
            (third.charCodeAt(0) & 0x3f),
        ),
    );

function asciiOf(codePoint: number): string {
  const isFullWidth = codePoint >= 0xff01 && codePoint <= 0xff5e;
  return String.fromCodePoint(isFullWidth ? codePoint - 0xfee0 : codePoint);
}

/** Removes dot segments (RFC 3986 section 5.2.4) and empty ones, as a file system does. */
const resolveDots: Step = (path) => {
  const kept: string[] = [];
  for (const segment of path.split('/')) {
    if (segment === '..') kept.pop();
    else if (segment !== '.' && segment !== '') kept.push(segment);
  }
  return `/${kept.join('/')}`;
};

const MODELS: Readonly<Record<string, readonly Step[]>> = {
  'resolves dot segments': [],
  'decodes once': [decode],
  'drops ;… and decodes, as Tomcat': [dropParameters, decode],
  'decodes and drops ;…': [decode, dropParameters],
  'decodes twice': [decode, decode],
  'decodes %u, as IIS': [decodeUnicodeEscapes, decode],
  'accepts overlong UTF-8': [decode, decodeOverlong],
  'takes back-slashes for slashes': [decode, backslashesToSlashes],
  'folds case, as IIS': [decode, foldCase],
  'trims segments, as Windows': [decode, trimSegments],
  'ends at a NUL, as C': [decode, cutAtNul],
  'does all of it': [
    decodeUnicodeEscapes,
    decode,
    decodeUnicodeEscapes,
    decode,
    decodeOverlong,
    cutAtNul,
    dropParameters,
    backslashesToSlashes,
    trimSegments,
    foldCase,
  ],
};

export interface PathReader {
  readonly name: string;
  /** The resource that a request path names, without its query. */
  read(path: string): string;
}

export const PATH_READERS: readonly PathReader[] = Object.entries(MODELS).map(([name, steps]) => ({
  name,
  read: (path) => resolveDots(steps.reduce((read, step) => step(read), path.split('?')[0] ?? '')),
}));

/** Spellings of `..`, each understood by at least one server that is or was in use. */
const PARENTS = [
  ...['..', '.%2e', '%2e%2e', '%2E%2E', '%252e%252e', '%25252e%25252e'],
  ...['..;', '%2e%2e;', '..;x=y', '%2e%2e;x=/', '..%3b', '%2e%2e%3Bx', ';/..', '.;/..;'],
  ...['%c0%ae%c0%ae', '%e0%80%ae%e0%80%ae', '%u002e%u002e', '%uff0e%uff0e', '%ef%bc%8e%ef%bc%8e'],
  ...[
    '..%20',
    '..%09',
    '..%00',
    '%20..',
    '..%0d',
    '...',
    '....',
    '..%ff',
    '..%zz',
    '..#',
    '\xc0\xae\xc0\xae',
  ],
];

/** Spellings of the `/` around it. */
const SLASHES = [
  ...['/', '//', '/./', '\\', '/\\', '%2f', '%5c', '%252f', '%255c'],
  ...['%c0%af', '%c1%9c', '%u002f', '%u2215', '\xc0\xaf', ';/', '/;/'],
];

/**
 * Every spelling of `open/../target` with these.
 * @param opens paths that need no token.
 */
export function escapingPaths(opens: readonly string[], target: string): string[] {
  const pairs = SLASHES.flatMap((slash) => [
    [slash, '/'],
    ['/', slash],
    [slash, slash],
  ]);
  return [
    ...new Set(
      opens.flatMap((open) =>
        PARENTS.flatMap((parent) =>
          pairs.map(([before, after]) => `${open}${before}${parent}${after}${target}`),
        ),
      ),
    ),
  ];
}
