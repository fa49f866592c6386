/** Types of a parsed configuration, and of what is wrong with one. */
import type { Algorithm } from '../approov/algorithm.ts';
import type { ContentEncryptionAlgorithm, KeyManagementAlgorithm } from '../approov/decryption-algorithm.ts';
import type { Secret } from '../approov/secret.ts';
import type { PolicyTable } from '../authz/policy.ts';
import type { TlsSettings } from './listen.ts';
import type { ReplayStoreSettings } from './message-signature-schema.ts';
import type { Settings } from './schema.ts';

/** The values of `HTTPS_PROXY` and `NO_PROXY`. */
export interface HttpProxy {
  /** May contain a user name and password. */
  readonly url: string;
  /** Hosts to connect to directly, separated by commas. */
  readonly except: string;
}

/** A verification key as configured: what it is and where its content is, but not the content of a file or URL. */
export interface KeyConfig {
  readonly id: string;
  readonly format: 'secret' | 'jwks' | 'pem';
  readonly location: /** From the environment. */
    | { readonly secret: Secret }
    | { readonly file: string }
    /** `caFile`: the only certificate authorities trusted for the URL; `undefined` for those of Node. */
    | { readonly url: string; readonly caFile: string | undefined };
  readonly kid: string | undefined;
  /** `undefined` for the default of the key type. */
  readonly algorithms: readonly Algorithm[] | undefined;
  readonly hosts: readonly string[] | undefined;
  /** Its place in the configuration, for messages: `keys[0].secretFile` or a variable. */
  readonly path: string;
}

/** A key that decrypts tokens, as configured. */
export interface DecryptionKeyConfig {
  readonly id: string;
  readonly kid: string | undefined;
  readonly format: 'secret' | 'private';
  readonly file: string;
  /** `undefined`, here and below, for every algorithm that works with the key. */
  readonly keyManagementAlgorithms: readonly KeyManagementAlgorithm[] | undefined;
  readonly contentEncryptionAlgorithms: readonly ContentEncryptionAlgorithm[] | undefined;
  readonly isNested: boolean;
  readonly path: string;
}

/** An account key that verifies message signatures, as configured. */
export interface MessageSigningKeyConfig {
  readonly id: string;
  readonly mskid: string;
  readonly file: string;
  readonly path: string;
}

/** What the configuration says of keys and certificates, whose content is in files. */
export interface FileReferences {
  readonly keys: readonly KeyConfig[];
  readonly decryptionKeys: readonly DecryptionKeyConfig[];
  readonly messageSigningKeys: readonly MessageSigningKeyConfig[];
  readonly replayStore: ReplayStoreSettings | undefined;
  readonly tls: TlsSettings | undefined;
}

/** A valid configuration: the fields of the file with their defaults, and the keys and policies built from them. */
export interface Config {
  readonly settings: Settings;
  readonly keys: readonly KeyConfig[];
  readonly decryptionKeys: readonly DecryptionKeyConfig[];
  readonly messageSigningKeys: readonly MessageSigningKeyConfig[];
  readonly policyTable: PolicyTable;
  /** The proxy for fetching URLs. */
  readonly proxy: HttpProxy | undefined;
  /** The environment variable that set each overridden value, by the value's path. */
  readonly origins: ReadonlyMap<string, string>;
}

/** What can be reloaded: the values of the metrics' label `source`. */
export const RELOAD_SOURCES = ['config', 'keys', 'jwks', 'tls'] as const;
export type ReloadSource = (typeof RELOAD_SOURCES)[number];

export function formatProblem({ place, path, message }: Problem): string {
  return [place, path, message].filter(Boolean).join(': ');
}

/** One thing that is wrong, and where: a path such as `policies.default.mode`, a variable, or a place in the file. */
export interface Problem {
  /** `config.yaml:4:11`, if it is in the file. */
  readonly place?: string;
  readonly path: string;
  readonly message: string;
}

/** Enough to fix in one go; a file that is not a configuration has thousands. */
const MAX_PROBLEMS = 20;

/** Keeps the first problems, and says how many more there are. */
export function limitProblems(problems: readonly Problem[]): readonly Problem[] {
  // One more takes the same space as saying so.
  if (problems.length <= MAX_PROBLEMS + 1) return problems;
  const message = `${problems.length - MAX_PROBLEMS} more problems`;
  return [...problems.slice(0, MAX_PROBLEMS), { path: 'configuration', message }];
}

/** A configuration that cannot be used, with its problems, so that they can be fixed in one go. */
export class ConfigError extends Error {
  override readonly name = 'ConfigError';
  readonly problems: readonly Problem[];

  constructor(problems: readonly Problem[]) {
    const limited = limitProblems(problems);
    super(limited.map(formatProblem).join('\n'));
    this.problems = limited;
  }
}
