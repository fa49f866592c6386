/** Parses the Prometheus text exposition format, as `/metrics` serves it. */

export interface Sample {
  readonly name: string;
  readonly labels: Readonly<Record<string, string>>;
  readonly value: number;
}

const SAMPLE = /^([A-Za-z_:][\w:]*)(?:\{(.*)\})? (\S+)(?: -?\d+)?$/;
const LABEL = /([A-Za-z_]\w*)="((?:[^"\\]|\\.)*)"/g;

/** The samples in their order; a line that is not a sample, such as a comment, is skipped. */
export function parseExposition(text: string): readonly Sample[] {
  return text.split('\n').flatMap((line) => {
    const [, name, labels = '', value = ''] = SAMPLE.exec(line) ?? [];
    return name === undefined ? [] : [{ name, labels: parseLabels(labels), value: parseValue(value) }];
  });
}

function parseLabels(text: string): Sample['labels'] {
  return Object.fromEntries(
    Array.from(text.matchAll(LABEL), ([, name = '', value = '']) => [name, unescapeValue(value)]),
  );
}

function unescapeValue(value: string): string {
  return value.replace(/\\(.)/g, (_, character: string) => (character === 'n' ? '\n' : character));
}

/** `+Inf` and `-Inf` are JavaScript's `Infinity`. */
function parseValue(text: string): number {
  return Number(text.replace(/Inf$/, 'Infinity'));
}

/** The labels of each series of a metric that has these labels. */
export function labelsOf(
  samples: readonly Sample[],
  name: string,
  labels: Sample['labels'] = {},
): readonly Sample['labels'][] {
  return matching(samples, name, labels).map((sample) => sample.labels);
}

/** The sum of the series of a metric that have these labels; 0 if there is none. */
export function sumOf(samples: readonly Sample[], name: string, labels: Sample['labels'] = {}): number {
  return matching(samples, name, labels).reduce((total, { value }) => total + value, 0);
}

function matching(samples: readonly Sample[], name: string, labels: Sample['labels']): readonly Sample[] {
  const wanted = Object.entries(labels);
  return samples.filter(
    (sample) => sample.name === name && wanted.every(([label, value]) => sample.labels[label] === value),
  );
}
