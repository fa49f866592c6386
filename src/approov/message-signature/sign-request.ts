/** Signs requests as the Approov SDKs do, so that the verifier can be tried without a phone. */
import { createPublicKey, type KeyObject, sign } from 'node:crypto';
import type { Secret } from '../secret.ts';
import { parseDictionary } from './dictionary.ts';
import { signatureBases } from './signature-base.ts';
import { MAX_COMPONENTS, parseSignatureInput } from './signature-input.ts';
import { SIGNATURE_KINDS, type SignatureLabel } from './signature-kind.ts';
import type { SignedRequest } from './signed-request.ts';

export interface RequestSigner {
  readonly label: SignatureLabel;
  sign(base: string): Buffer;
}

/** @param privateKey of P-256. */
export function installSigner(privateKey: KeyObject): RequestSigner {
  // RFC 9421 §3.3.4 signs with r‖s, not with the DER that node:crypto makes.
  const key = { key: privateKey, dsaEncoding: 'ieee-p1363' } as const;
  return { label: 'install', sign: (base) => sign('sha256', Buffer.from(base, 'latin1'), key) };
}

export function accountSigner(secret: Secret): RequestSigner {
  // RFC 9421 §3.3.3 is the HMAC of HS256.
  return { label: 'account', sign: (base) => secret.sign('HS256', base) };
}

/** The `ipk` claim of an installation with this private key. */
export function ipkClaim(privateKey: KeyObject): string {
  return createPublicKey(privateKey).export({ type: 'spki', format: 'der' }).toString('base64');
}

/** Covered where the request has them, in the order of the SDKs. */
const COVERED_IF_PRESENT = [
  'approov-traceid',
  'approov-status',
  'authorization',
  'content-length',
  'content-type',
  'content-digest',
];

/** The names of the components that the SDKs cover by default. */
export function sdkComponents(request: SignedRequest, tokenHeader: string): readonly string[] {
  const present = COVERED_IF_PRESENT.filter((name) => request.headerValues(name).length > 0);
  return [...new Set(['@method', '@target-uri', tokenHeader, ...present])];
}

interface SigningOptions {
  /** Names of components without parameters, which the signature covers in this order. */
  readonly components: readonly string[];
  /** Seconds since the epoch. */
  readonly created: number;
  readonly expires: number;
}

export interface SignatureHeaders {
  readonly 'signature-input': string;
  readonly signature: string;
}

/** `undefined` if the request does not have every component, or its host or path is not that of a URL. */
export function signRequest(
  request: SignedRequest,
  signers: readonly RequestSigner[],
  { components, created, expires }: SigningOptions,
): SignatureHeaders | undefined {
  const inputs: string[] = [];
  const signatures: string[] = [];
  const covered = components.map((name) => `"${name}"`).join(' ');
  for (const { label, sign } of signers) {
    const { algorithm } = SIGNATURE_KINDS[label];
    const input = `${label}=(${covered});created=${created};expires=${expires};alg="${algorithm}"`;
    const base = signatureBase(input, request);
    if (base === undefined) return undefined;
    inputs.push(input);
    signatures.push(`${label}=:${sign(base).toString('base64')}:`);
  }
  return { 'signature-input': inputs.join(', '), signature: signatures.join(', ') };
}

/** The base that the verifier tries first. */
function signatureBase(input: string, request: SignedRequest): string | undefined {
  const dictionary = parseDictionary(input, { bytes: Number.POSITIVE_INFINITY, members: 1 });
  const [member] = dictionary.kind === 'dictionary' ? dictionary.members.values() : [];
  const parsed = member && parseSignatureInput(member);
  if (parsed?.kind !== 'input') throw new TypeError(`not ${MAX_COMPONENTS} names of components at most`);
  const [base] = signatureBases(parsed.input, request);
  return base?.text;
}
