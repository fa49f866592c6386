/** Owns what a configuration is once it is read, and what is said of one that is wrong. */
import type { Algorithm } from '../approov/algorithm.ts';
import type { DecryptionAlgorithm, Encryption } from '../approov/decryption-algorithm.ts';
import type { Secret } from '../approov/secret.ts';
import type { PolicyTable } from '../authz/policy.ts';
import type { Settings } from './schema.ts';

/** Where a key comes from: the environment may hold a secret itself, else a file or a URL does. */
export interface KeySource {
  readonly id: string;
  /** What the content is. */
  readonly source: 'secret' | 'jwks' | 'pem';
  readonly from: { readonly secret: Secret } | { readonly file: string } | { readonly url: string };
  readonly kid: string | undefined;
  /** `undefined`: what is usual for the key. */
  readonly algorithms: readonly Algorithm[] | undefined;
  readonly hosts: readonly string[] | undefined;
  /** Where it stands in the configuration, for messages: `keys[0].secretFile` or a variable. */
  readonly path: string;
}

/** A key that opens encrypted tokens. */
export interface DecryptionKeySource {
  readonly id: string;
  readonly kid: string | undefined;
  readonly source: 'secret' | 'private';
  readonly file: string;
  /** `undefined`, as of `encryptions`: what fits the key. */
  readonly algorithms: readonly DecryptionAlgorithm[] | undefined;
  readonly encryptions: readonly Encryption[] | undefined;
  readonly isNested: boolean;
  readonly path: string;
}

/** The fields of the file, complete with their defaults, and what is made of keys, policies and routes. */
export interface Config {
  readonly settings: Settings;
  readonly keys: readonly KeySource[];
  readonly decryptionKeys: readonly DecryptionKeySource[];
  readonly policyTable: PolicyTable;
  /** The environment variable that each overridden value came from, by the value's path. */
  readonly origins: ReadonlyMap<string, string>;
}

/** One thing that is wrong, and where: a path such as `policies.default.mode`, a variable, or a place in the file. */
export interface Problem {
  readonly path: string;
  readonly message: string;
}

/** Everything that is wrong with a configuration, so that it can be mended in one go. */
export class ConfigError extends Error {
  override readonly name = 'ConfigError';
  readonly problems: readonly Problem[];

  constructor(problems: readonly Problem[]) {
    super(problems.map(({ path, message }) => `${path}: ${message}`).join('\n'));
    this.problems = problems;
  }
}
