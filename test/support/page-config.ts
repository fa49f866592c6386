/** Has the service load the configurations of a page of the documentation, and Envoy validate the page's snippets. */
import { mkdirSync, writeFileSync } from 'node:fs';
import { basename, join } from 'node:path';
import { parse } from 'yaml';
import { checkConfig } from '../../src/commands/check-config.ts';
import { type Io, Options } from '../../src/commands/command.ts';
import { EXT_AUTHZ, type Sample } from './envoy.ts';

/** A secret for each file name that a page uses. */
export function secretOf(file: string): Buffer {
  return Buffer.alloc(64, `secret of ${basename(file)} `);
}

/**
 * Writes a configuration of the service and its secrets into a new folder.
 * @param folder must not exist.
 * @param contents of the files that are not secrets, by name.
 */
export function writePageConfig(
  folder: string,
  yaml: string,
  contents: Readonly<Record<string, string>> = {},
): string {
  mkdirSync(folder);
  for (const [, file = ''] of yaml.matchAll(/\/run\/secrets\/approov\/([\w-]+)/g))
    writeFileSync(join(folder, file), contents[file] ?? secretOf(file).toString('base64'));
  const config = join(folder, 'config.yaml');
  writeFileSync(config, yaml.replaceAll('/run/secrets/approov/', `${folder}/`));
  return config;
}

/** Runs `check-config`, and returns its exit code and what it writes to stderr. */
export async function checkConfigOf(file: string): Promise<readonly string[]> {
  const errors: string[] = [];
  const io = { env: {}, out: () => undefined, err: (line: string) => errors.push(line) };
  const code = await checkConfig.run(new Options(['--config', file], {}), io as unknown as Io);
  return [`exit ${code}`, ...errors];
}

const SNIPPET_PLACES: Readonly<Record<string, (sample: Sample, snippet: unknown) => void>> = {
  '# virtual_hosts, under route_config': ({ document, connectionManager }, snippet) =>
    connectionManager.setIn(['route_config', 'virtual_hosts'], document.createNode(snippet)),
  '# routes of the virtual host': ({ document, connectionManager }, snippet) =>
    connectionManager.setIn(['route_config', 'virtual_hosts', 0, 'routes'], document.createNode(snippet)),
  '# in each virtual host': ({ document, connectionManager }, snippet) => {
    for (const [field, value] of Object.entries(snippet as object))
      connectionManager.setIn(['route_config', 'virtual_hosts', 0, field], document.createNode(value));
  },
  '# http_filters, before envoy.filters.http.ext_authz': (sample, snippet) => {
    for (const filter of snippet as unknown[]) sample.addHttpFilterFirst(filter);
  },
  '# in typed_config of envoy.filters.http.ext_authz': ({ document, httpFilter }, snippet) => {
    for (const [field, value] of Object.entries(snippet as object))
      httpFilter(EXT_AUTHZ).set(field, document.createNode(value));
  },
};

/** The first line of a snippet: a comment that says where it belongs. */
export function placeOf(snippet: string): string {
  return snippet.split('\n', 1)[0] ?? '';
}

/** Puts a snippet into envoy.yaml, where its first line says. */
export function insertSnippet(sample: Sample, snippet: string): void {
  const insert = SNIPPET_PLACES[placeOf(snippet)];
  if (insert === undefined) throw new Error(`no place in envoy.yaml: ${placeOf(snippet)}`);
  insert(sample, parse(snippet));
}
