/** Builds requests with message signatures, signed with node:crypto alone, so that no code under test checks itself. */
import { createHmac, createPublicKey, type KeyObject, randomBytes, sign } from 'node:crypto';
import { InstallKeys } from '../../src/approov/message-signature/install-keys.ts';
import type {
  MessageSignatureKeys,
  MessageSignatureOptions,
} from '../../src/approov/message-signature/options.ts';
import type { SignedRequest } from '../../src/approov/message-signature/signed-request.ts';
import {
  type MessageSignatureResult,
  verifyMessageSignature,
} from '../../src/approov/message-signature/verify-message-signature.ts';
import { Secret } from '../../src/approov/secret.ts';
import { generateKeyPair } from './key-pair.ts';
import { type RequestFields, signedRequest } from './signed-request.ts';

export const INSTALL_KEY = generateKeyPair('ec', { namedCurve: 'P-256' });
export const ACCOUNT_SECRET = randomBytes(32);
export const MSKID = 'j3AWy6';

/** As Approov writes the claim. */
export function ipkOf(key: KeyObject): string {
  const publicKey = key.type === 'private' ? createPublicKey(key) : key;
  return publicKey.export({ type: 'spki', format: 'der' }).toString('base64');
}

export const CLAIMS = { ipk: ipkOf(INSTALL_KEY.publicKey), mskid: MSKID };

export function signInstall(base: string, key: KeyObject = INSTALL_KEY.privateKey): Buffer {
  return sign('sha256', Buffer.from(base, 'latin1'), { key, dsaEncoding: 'ieee-p1363' });
}

export function signAccount(base: string, secret: Buffer = ACCOUNT_SECRET): Buffer {
  return createHmac('sha256', secret).update(base, 'latin1').digest();
}

export const SIGNERS = { install: signInstall, account: signAccount };

/** The default clock of these tests. */
export const CREATED = 1_795_500_000;

export const OPTIONS: MessageSignatureOptions = {
  install: 'when-ipk',
  account: 'off',
  requiredComponents: 'default',
  contentDigest: 'if-present',
  maxAgeSeconds: 300,
  clockToleranceSeconds: 60,
  acceptDerSignatures: false,
  tokenHeader: 'approov-token',
};

export const KEYS: MessageSignatureKeys = {
  installKeys: new InstallKeys(),
  accountKey: (mskid) =>
    mskid === MSKID
      ? { id: 'account-key', secret: Secret.parse(ACCOUNT_SECRET.toString('base64')) }
      : undefined,
};

export interface Circumstances {
  readonly options?: Partial<MessageSignatureOptions>;
  readonly claims?: Readonly<Record<string, unknown>>;
  readonly keys?: MessageSignatureKeys;
  readonly now?: number;
  readonly publicKeysLeft?: number;
}

export function verifyRequest(
  request: SignedRequest,
  { options = {}, claims = CLAIMS, keys = KEYS, now = CREATED, publicKeysLeft = 8 }: Circumstances = {},
): MessageSignatureResult {
  const context = {
    request,
    options: { ...OPTIONS, ...options },
    claims,
    keys,
    attempts: { publicKeysLeft },
  };
  return verifyMessageSignature(context, now);
}

/** `verified`, `not_required`, or the reason and, where there is one, the problem. */
export function outcomeOf(result: MessageSignatureResult): string {
  if (result.kind !== 'failed') return result.kind;
  const { failure } = result;
  if ('signature' in failure) return `${failure.reason}: ${failure.signature.problem}`;
  if ('problem' in failure) return `${failure.reason}: ${failure.problem}`;
  if ('components' in failure) return `${failure.reason}: ${failure.components.join()}`;
  return failure.reason;
}

export type Line = readonly [identifier: string, value: string];

interface Signing {
  readonly label?: 'install' | 'account';
  /** The lines of the signature base but for the last: component identifier and value. */
  readonly lines: readonly Line[];
  /** With the leading semicolon. */
  readonly parameters?: string;
  readonly encode?: (signature: Buffer) => string;
  readonly sign?: (base: string) => Buffer;
}

export const PARAMETERS = `;created=${CREATED};expires=${CREATED + 15};alg="ecdsa-p256-sha256"`;
const DEFAULT_PARAMETERS = {
  install: PARAMETERS,
  account: PARAMETERS.replace('ecdsa-p256-sha256', 'hmac-sha256'),
};

export function byteSequence(bytes: Buffer): string {
  return `:${bytes.toString('base64')}:`;
}

/** The headers of several signatures, as SDKs that make both send them. */
export function joinSignatures(
  ...signatures: readonly Readonly<Record<'signature-input' | 'signature', string>>[]
): { readonly 'signature-input': string; readonly signature: string } {
  return {
    'signature-input': signatures.map((each) => each['signature-input']).join(', '),
    signature: signatures.map(({ signature }) => signature).join(', '),
  };
}

/** The two headers of a signature over these lines. */
export function signLines({
  label = 'install',
  lines,
  parameters = DEFAULT_PARAMETERS[label],
  encode = byteSequence,
  sign: signBase = SIGNERS[label],
}: Signing): { readonly 'signature-input': string; readonly signature: string } {
  const input = `(${lines.map(([identifier]) => identifier).join(' ')})${parameters}`;
  const base = [...lines, ['"@signature-params"', input]].map((line) => line.join(': ')).join('\n');
  return {
    'signature-input': `${label}=${input}`,
    signature: `${label}=${encode(signBase(base))}`,
  };
}

/** A signed request in the default form. */
export const LINES: readonly Line[] = [
  ['"@method"', 'GET'],
  ['"@target-uri"', 'https://api.example.com/v1/shapes'],
  ['"approov-token"', 'token'],
];

export interface SignedCase extends Circumstances {
  readonly label?: 'install' | 'account';
  readonly lines?: readonly Line[];
  readonly parameters?: string;
  readonly request?: RequestFields;
}

/** The outcome of a request with one signature. */
export function decideSigned({
  label = 'install',
  lines = LINES,
  parameters,
  request = {},
  ...circumstances
}: SignedCase): string {
  const signature = signLines(parameters === undefined ? { label, lines } : { label, lines, parameters });
  const headers = { 'approov-token': 'token', ...signature, ...request.headers };
  return outcomeOf(verifyRequest(signedRequest({ ...request, headers }), circumstances));
}
