/** Signs check requests as an app does, over the components that its SDK covers by default. */

import { Secret } from '../../src/approov/secret.ts';
import type { MessageSignaturePolicy } from '../../src/authz/message-signature.ts';
import type { MessageSigningKey } from '../../src/authz/token-verifier.ts';
import {
  ACCOUNT_SECRET,
  CLAIMS,
  CREATED,
  joinSignatures,
  type Line,
  MSKID,
  OPTIONS,
  SIGNERS,
  signLines,
} from './message-signature.ts';
import { mintToken } from './token.ts';

/** A policy with the defaults of the configuration but for `fields`. */
export function signaturePolicy(fields: Partial<MessageSignaturePolicy> = {}): MessageSignaturePolicy {
  return { ...OPTIONS, replay: 'off', externalScheme: 'https', externalHost: null, ...fields };
}

export const MESSAGE_SIGNING_KEYS: readonly MessageSigningKey[] = [
  { id: 'account-key', mskid: MSKID, secret: Secret.parse(ACCOUNT_SECRET.toString('base64')) },
];

/** A token at the clock of tests that names the keys of an installation and of an account. */
export const SIGNED_TOKEN = mintToken({ ...CLAIMS, exp: CREATED + 300 });

interface RequestToSign {
  readonly method?: string;
  readonly host?: string;
  readonly path?: string;
  readonly token?: string;
  /** Covered too, in order. */
  readonly headers?: Readonly<Record<string, string>>;
  readonly labels?: readonly ('install' | 'account')[];
  /** Of the installation, or of the account. */
  readonly sign?: Readonly<Partial<Record<'install' | 'account', (base: string) => Buffer>>>;
  readonly created?: number;
  readonly expires?: number;
}

/** The headers to send: the token, those given, and the signature. */
export function signHeaders({
  method = 'GET',
  host = 'api.example.com',
  path = '/',
  token = SIGNED_TOKEN,
  headers = {},
  labels = ['install'],
  sign = SIGNERS,
  created = CREATED,
  expires = created + 15,
}: RequestToSign = {}): Readonly<Record<string, string>> {
  const lines: readonly Line[] = [
    ['"@method"', method],
    ['"@target-uri"', `https://${host}${path}`],
    ['"approov-token"', token],
    ...Object.entries(headers).map(([name, value]): Line => [`"${name}"`, value]),
  ];
  const parameters = `;created=${created};expires=${expires}`;
  const signatures = labels.map((label) =>
    signLines({ label, lines, parameters, sign: sign[label] ?? SIGNERS[label] }),
  );
  return { 'approov-token': token, ...headers, ...joinSignatures(...signatures) };
}
