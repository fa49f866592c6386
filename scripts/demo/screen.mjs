/** Formats the demo's output: at most 80 columns, with colours or without. */

const COLUMNS = 80;
const WORDS_WIDTH = 29;
const EXPECTED_WIDTH = 10;
const SGR = { bold: 1, dim: 2, inverse: 7, red: 31, green: 32, yellow: 33, cyan: 36 };

/** @typedef {keyof typeof SGR} Style */
/** @typedef {(style: Style, text: string) => string} Paint */
/** @typedef {{ answer: string, reason: string }} Outcome */

/** @type {Paint} */
export const paintNothing = (_, text) => text;
/** @type {Paint} */
export const paintAnsi = (style, text) => `\u001b[${SGR[style]}m${text}\u001b[0m`;

/** The heads of the columns that {@link resultLines} fills. */
export function headLine(/** @type {Paint} */ paint) {
  return paint('dim', `    ${'request'.padEnd(WORDS_WIDTH)}  ${'expected'.padEnd(EXPECTED_WIDTH)}  got`);
}

/**
 * @param {import('./story.mjs').Chapter} chapter
 * @param {Paint} paint
 */
export function titleLine({ title, about }, paint) {
  return `${paint('bold', title)} ${about}`;
}

/**
 * @param {{ words: string, expected: string, reason: string, pattern?: RegExp }} row
 * @param {Outcome} outcome
 */
export function isExpected({ expected, reason, pattern }, outcome) {
  return (pattern?.test(outcome.answer) ?? outcome.answer === expected) && outcome.reason === reason;
}

/**
 * What was sent, what it should answer and what it did answer.
 * @param {{ words: string, expected: string, reason: string, pattern?: RegExp }} row
 * @param {Outcome} outcome
 * @param {Paint} paint
 * @returns {string[]}
 */
export function resultLines(row, outcome, paint) {
  const { words, expected, reason } = row;
  const cells = `${words.padEnd(WORDS_WIDTH)}  ${expected.padEnd(EXPECTED_WIDTH)}`;
  const got = `${outcome.answer} ${outcome.reason}`.trimEnd();
  if (isExpected(row, outcome)) return [`  ${paint('green', '✓')} ${cells}  ${paint(styleOf(got), got)}`];
  return [
    paint('inverse', `  ✗ ${cells}  ${got}`),
    ...(outcome.reason === reason ? [] : [paint('inverse', `    expected the reason: ${reason}`)]),
  ];
}

/**
 * Allowed, allowed with a mark, or denied.
 * @param {string} got
 * @returns {Style}
 */
function styleOf(got) {
  if (/^200 marked|\b429\b/.test(got)) return 'yellow';
  return got.startsWith('4') ? 'red' : 'green';
}

/** @typedef {{ port: number, folder: string }} Place the folder of the demo's files */

/**
 * A request as commands for bash and zsh, over several lines if they are long.
 * @param {import('./story.mjs').DemoRequest} request
 * @param {Place} place
 * @returns {string[]}
 */
export function curlLines(request, place) {
  const { method, path = '', headers = [], body } = request;
  const { folder } = place;
  const options = [
    ...(method === undefined ? [] : [`-X ${method}`]),
    // Else curl resolves dot segments itself.
    ...(path.includes('/..') ? ['--path-as-is'] : []),
  ];
  const parts = [
    ['curl -i', ...options, quote(urlOf(request, place))].join(' '),
    ...headers.map((header) => `-H ${headerWord(header, folder)}`),
    ...(body === undefined
      ? []
      : [`-d ${body.startsWith('@') ? `@${folder}/${body.slice(1)}` : quote(body)}`]),
  ];
  return [...signLines(request, place), ...commandLines(parts)];
}

/**
 * @param {import('./story.mjs').DemoRequest} request
 * @param {Place} place
 */
export function urlOf({ path = '/orders' }, { port }) {
  return `http://127.0.0.1:${port}${path}`;
}

/**
 * @param {import('./story.mjs').DemoRequest} request
 * @param {Place} place
 * @returns {string[]}
 */
function signLines(request, place) {
  const { sign, body = '' } = request;
  if (sign === undefined) return [];
  const { folder } = place;
  const { file, key, tokenOf } = sign;
  return commandLines([
    `APPROOV_BASE64_SECRET_FILE=${folder}/secret npx approov-ext-authz mint`,
    `--sign-request POST ${quote(urlOf(request, place))}`,
    `--body-file ${folder}/${body.slice(1)}`,
    ...(key === undefined ? [] : [`--install-key ${folder}/${key}`]),
    ...(tokenOf === undefined ? [] : [`--token "$(sed -n 's/^approov-token: //p' ${folder}/${tokenOf})"`]),
    `>${folder}/${file}`,
  ]);
}

/**
 * @param {string} header
 * @param {string} folder
 */
function headerWord(header, folder) {
  if (!header.startsWith('@')) return quote(header);
  const [name, line] = header.slice(1).split(':');
  return line === undefined ? `@${folder}/${name}` : `"$(head -n 1 ${folder}/${name})"`;
}

/** @param {readonly string[]} parts */
function commandLines(parts) {
  return wrap(parts, ' ', COLUMNS - 8).map(
    (line, index, { length }) =>
      `${index === 0 ? '    ' : '      '}${line}${index < length - 1 ? ' \\' : ''}`,
  );
}

/** @param {string} word */
function quote(word) {
  return /^[\w@%:/.,-]+$/.test(word) ? word : `'${word.replaceAll("'", "'\\''")}'`;
}

/**
 * Joins parts into lines of at most a width, save for a part that is longer.
 * @param {readonly string[]} parts
 * @param {string} separator
 * @param {number} width
 * @returns {string[]}
 */
export function wrap(parts, separator, width) {
  /** @type {string[]} */
  const lines = [];
  for (const part of parts) {
    const last = lines.at(-1);
    if (last !== undefined && last.length + separator.length + part.length <= width)
      lines[lines.length - 1] = `${last}${separator}${part}`;
    else lines.push(part);
  }
  return lines;
}

/**
 * A line of the service's log, unchanged but for the line breaks.
 * @param {string} line JSON
 * @param {Paint} paint
 * @returns {string[]}
 */
export function logLines(line, paint) {
  const members = Object.entries(JSON.parse(line)).map(
    ([name, value]) => `${JSON.stringify(name)}:${JSON.stringify(value)}`,
  );
  const parts = members.map((member, index) => (index < members.length - 1 ? `${member},` : `${member}}`));
  return wrap(parts, '', COLUMNS - 5).map((text, index) => {
    const painted = text.replace(/"reason":"\w+"/, (reason) => paint('red', reason));
    return `    ${index === 0 ? '{' : ' '}${painted}`;
  });
}

/**
 * The outcome and the steps, without the claims and the advice that follow.
 * @param {string} explanation
 * @param {Paint} paint
 */
export function explanationLines(explanation, paint) {
  const [outcome = '', steps = ''] = explanation.split('\n\n');
  return [
    outcome.replace(/^\w+/, (word) => paint('red', word)),
    '',
    ...steps
      .split('\n')
      .map((line) =>
        line.replace(/(?<=^\w+ +)(?:passed|failed)/, (word) =>
          paint(word === 'passed' ? 'green' : 'red', word),
        ),
      ),
  ];
}

/**
 * @param {readonly (readonly string[])[]} rows the first is the header; the last column is right-aligned
 * @param {Paint} paint
 */
export function tableLines(rows, paint) {
  const widths = rows[0]?.map((_, column) => Math.max(...rows.map((row) => row[column]?.length ?? 0))) ?? [];
  return rows.map((cells, index) => {
    const line = cells
      .map((cell, column) =>
        column === cells.length - 1 ? cell.padStart(widths[column] ?? 0) : cell.padEnd(widths[column] ?? 0),
      )
      .join('  ');
    return `    ${index === 0 ? paint('dim', line) : line}`;
  });
}
