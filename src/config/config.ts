/** Owns what a configuration is once it is read, and what is said of one that is wrong. */
import type { Algorithm } from '../approov/algorithm.ts';
import type { ContentEncryptionAlgorithm, KeyManagementAlgorithm } from '../approov/decryption-algorithm.ts';
import type { Secret } from '../approov/secret.ts';
import type { PolicyTable } from '../authz/policy.ts';
import type { Settings } from './schema.ts';

/** What `HTTPS_PROXY` and `NO_PROXY` say. */
export interface HttpProxy {
  /** With a user name and password, if it asks for them. */
  readonly url: string;
  /** Hosts that are asked directly, separated by commas. */
  readonly except: string;
}

/** Where a key comes from: the environment may hold a secret itself, else a file or a URL does. */
export interface KeyConfig {
  readonly id: string;
  /** What the content is. */
  readonly format: 'secret' | 'jwks' | 'pem';
  readonly location:
    | { readonly secret: Secret }
    | { readonly file: string }
    /** `caFile`: the certificate authorities that are trusted at the URL, where they are named. */
    | { readonly url: string; readonly caFile: string | undefined };
  readonly kid: string | undefined;
  /** `undefined`: what is usual for the key. */
  readonly algorithms: readonly Algorithm[] | undefined;
  readonly hosts: readonly string[] | undefined;
  /** Where it stands in the configuration, for messages: `keys[0].secretFile` or a variable. */
  readonly path: string;
}

/** A key that opens encrypted tokens. */
export interface DecryptionKeyConfig {
  readonly id: string;
  readonly kid: string | undefined;
  readonly format: 'secret' | 'private';
  readonly file: string;
  /** `undefined`, as of `contentEncryptionAlgorithms`: what fits the key. */
  readonly keyManagementAlgorithms: readonly KeyManagementAlgorithm[] | undefined;
  readonly contentEncryptionAlgorithms: readonly ContentEncryptionAlgorithm[] | undefined;
  readonly isNested: boolean;
  readonly path: string;
}

/** The fields of the file, complete with their defaults, and what is made of keys, policies and routes. */
export interface Config {
  readonly settings: Settings;
  readonly keys: readonly KeyConfig[];
  readonly decryptionKeys: readonly DecryptionKeyConfig[];
  readonly policyTable: PolicyTable;
  /** The proxy through which URLs are fetched. */
  readonly proxy: HttpProxy | undefined;
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
