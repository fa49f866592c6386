/** Reads the sample files as objects, and copies them with other ports. */
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { parse, parseAllDocuments } from 'yaml';

const ROOT = fileURLToPath(new URL('../../', import.meta.url));
const DEPLOY = join(ROOT, 'deploy/');

/** A YAML mapping with the schema of another project. */
export interface YamlMapping {
  // biome-ignore lint/suspicious/noExplicitAny: the tests read objects of many schemas
  readonly [field: string]: any;
}

/** A Kubernetes object, or any other YAML mapping. */
export interface SampleObject extends YamlMapping {
  readonly apiVersion?: string;
  readonly kind?: string;
  readonly metadata?: {
    readonly name: string;
    readonly namespace?: string;
    readonly labels?: Readonly<Record<string, string>>;
  };
}

/** A file of one document, by its path in the repository. Anchors are merged, as in compose files. */
export function readYaml(path: string) {
  return parse(readFileSync(join(ROOT, path), 'utf8'), { merge: true });
}

export function sampleFolder(folder: string): string {
  return join(DEPLOY, folder);
}

/** The YAML files of a folder of deploy/, in order. */
export function sampleFiles(folder: string): string[] {
  return readdirSync(sampleFolder(folder))
    .filter((file) => file.endsWith('.yaml'))
    .sort();
}

/** Every document of a sample file; throws on a syntax error or a repeated key. */
export function readSample(folder: string, file: string): SampleObject[] {
  return parseObjects(readFileSync(join(DEPLOY, folder, file), 'utf8'), `${folder}/${file}`);
}

export function parseObjects(yaml: string, source: string): SampleObject[] {
  return parseAllDocuments(yaml).map((document) => {
    const [error] = [...document.errors, ...document.warnings];
    if (error !== undefined) throw new Error(`${source}: ${error.message}`);
    return document.toJS() as SampleObject;
  });
}

/** Whether it is applied to a cluster, rather than read by a program such as Helm or the service itself. */
export function isKubernetesObject(object: SampleObject): boolean {
  return object.apiVersion !== undefined && object.kind !== undefined;
}

/**
 * A copy with other port numbers and no other change.
 * @param ports the port to use for each port in the sample.
 */
export function withPorts(object: SampleObject, ports: Readonly<Record<number, number>>): SampleObject {
  const walk = (node: unknown, key: string): unknown => {
    if (Array.isArray(node)) return node.map((item) => walk(item, key));
    if (typeof node === 'object' && node !== null) {
      return Object.fromEntries(Object.entries(node).map(([name, value]) => [name, walk(value, name)]));
    }
    if (typeof node === 'number' && (key === 'port' || key === 'number')) return ports[node] ?? node;
    return node;
  };
  return walk(object, '') as SampleObject;
}

/** One YAML document stream for `kubectl apply -f` and file providers (JSON is YAML). */
export function toManifest(objects: readonly SampleObject[]): string {
  return objects.map((object) => `---\n${JSON.stringify(object)}\n`).join('');
}
