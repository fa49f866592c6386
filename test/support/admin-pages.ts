/** Reads the admin pages of a running service. */

/** The samples of `/metrics`, by metric name and labels as exposed. */
export async function readMetrics(admin: string): Promise<ReadonlyMap<string, number>> {
  const text = await (await fetch(`http://${admin}/metrics`)).text();
  const lines = text.split('\n').filter((line) => line !== '' && !line.startsWith('#'));
  return new Map(
    lines.map((line) => {
      const space = line.lastIndexOf(' ');
      return [line.slice(0, space), Number(line.slice(space + 1))];
    }),
  );
}

/** The number of checks that a service has decided. From the metrics, since the log omits lines when there are many. */
export async function countChecks(admin: string): Promise<number> {
  const counts = [...(await readMetrics(admin))].filter(([name]) => name.startsWith('approov_checks_total{'));
  return counts.reduce((sum, [, count]) => sum + count, 0);
}

export interface Readyz {
  readonly status: number;
  readonly components: {
    readonly process?: string;
    readonly keys?: {
      readonly loaded: readonly { readonly id: string }[];
      readonly missing: readonly string[];
    };
    readonly files?: Readonly<Record<string, 'ok' | readonly string[]>>;
    readonly urls?: Readonly<Record<string, string>>;
    readonly workers?: Readonly<Record<string, string>>;
  };
}

export async function readReadyz(admin: string): Promise<Readyz> {
  const response = await fetch(`http://${admin}/readyz`);
  const { components } = (await response.json()) as { components: Readyz['components'] };
  return { status: response.status, components };
}
