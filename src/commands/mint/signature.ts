/** Signs a request with the keys of an app, and lists the headers to send. */
import {
  accountSigner,
  installSigner,
  ipkClaim,
  type RequestSigner,
  sdkComponents,
  signRequest,
} from '../../approov/message-signature/sign-request.ts';
import type { Policy } from '../../authz/policy.ts';
import type { MessageSigningKey } from '../../authz/token-verifier.ts';
import type { LoadedConfig } from '../../sources/loaded-config.ts';
import { type Options, UsageError } from '../command.ts';
import type { HeaderLine } from '../request-options.ts';
import { installKey } from './install-key.ts';
import { headersToSend, type RequestToSign, toSignedRequest, URL_USAGE } from './request.ts';
import type { Claims } from './token.ts';

export const SIGNER_OPTIONS = {
  'install-key': { type: 'string' },
  account: { type: 'string' },
} as const;

/** The lifetime of a signature that the SDKs make. */
const LIFETIME_SECONDS = 15;

interface Signers {
  /** Of a token whose installation has these keys. */
  readonly claims: Claims;
  readonly signers: readonly RequestSigner[];
}

export async function loadSigners(options: Options, loaded: LoadedConfig): Promise<Signers> {
  const account = accountKey(options.text('account'), loaded);
  const key = await installKey(options.text('install-key'));
  return {
    claims: { ipk: ipkClaim(key), ...(account && { mskid: account.mskid }) },
    signers: [installSigner(key), ...(account ? [accountSigner(account.secret)] : [])],
  };
}

/** Only if it is named: what it signs is valid for the whole account. */
function accountKey(
  id: string | undefined,
  { messageSigningKeys }: LoadedConfig,
): MessageSigningKey | undefined {
  if (id === undefined) return undefined;
  const key = messageSigningKeys.find((candidate) => candidate.id === id);
  if (key !== undefined) return key;
  const known = messageSigningKeys.map((other) => other.id).join(', ') || 'none';
  throw new UsageError(`--account: unknown key of messageSigningKeys; known: ${known}`);
}

export function signedHeaders(
  request: RequestToSign,
  policy: Policy,
  token: string,
  { signers }: Signers,
  nowSeconds: number,
): readonly HeaderLine[] {
  const headers = headersToSend(request, policy, token);
  const signed = toSignedRequest(request, headers);
  const created = Math.floor(nowSeconds);
  const signature = signRequest(signed, signers, {
    components: sdkComponents(signed, policy.tokenHeader),
    created,
    expires: created + LIFETIME_SECONDS,
  });
  // All covered components are there, so it is the URL.
  if (signature === undefined) throw new UsageError(URL_USAGE);
  return [...headers, ...Object.entries(signature)];
}
