/** Defines what a policy asks of message signatures, and the keys that verify them. */
import type { Secret } from '../secret.ts';
import type { InstallKeys } from './install-keys.ts';

export interface MessageSignatureOptions {
  /** `when-ipk`: a token with `ipk` must be signed by that key. */
  readonly install: 'off' | 'when-ipk' | 'required';
  /** `when-mskid`: a token with `mskid` must be signed with that account key. */
  readonly account: 'off' | 'when-mskid' | 'required';
  /** Names of components; `default`: see {@link missingComponents}. */
  readonly requiredComponents: 'default' | readonly string[];
  readonly contentDigest: 'off' | 'if-present' | 'required';
  /** Of `created`. */
  readonly maxAgeSeconds: number;
  readonly clockToleranceSeconds: number;
  readonly acceptDerSignatures: boolean;
  /** In lower case: among the components that must be covered by default. */
  readonly tokenHeader: string;
}

export interface AccountKey {
  /** In the configuration. */
  readonly id: string;
  readonly secret: Secret;
}

export interface MessageSignatureKeys {
  readonly installKeys: InstallKeys;
  accountKey(mskid: string): AccountKey | undefined;
}
