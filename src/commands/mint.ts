/** Signs an example token, like `approov token -genExample`, and a request with it if asked. */
import { loadConfig } from '../sources/config-store.ts';
import { type Command, configFile, EXIT, type Options, UsageError } from './command.ts';
import { policyFor, REQUEST_OPTIONS, readRequest } from './mint/request.ts';
import { loadSigners, SIGNER_OPTIONS, signedHeaders } from './mint/signature.ts';
import { mintToken, readClaims, TOKEN_OPTIONS } from './mint/token.ts';
import { readToken } from './request-options.ts';

const SIGNING_OPTIONS = {
  ...REQUEST_OPTIONS,
  ...SIGNER_OPTIONS,
  token: { type: 'string' },
} as const;

export const mint: Command = {
  help: [
    '--expires-in TIME    lifetime: 90s, 5m (default), 1h; --expires-in=-1m for an expired token',
    "--bind VALUE         bind the token to a header value, e.g. 'Bearer abc'; repeat for several headers, in order",
    '--claim NAME=VALUE   add a claim; VALUE is JSON if it parses as JSON, else text; repeatable',
    '--key-id ID          key to sign with (default: the first symmetric key)',
    '--invalid            make a signature that does not verify, as after a failed attestation',
    '--sign-request METHOD URL  sign this request, as an app does, and print its headers instead: for curl -H @FILE',
    "--header 'NAME: V'   a header of the request; repeat for more",
    '--body-file FILE     the body of the request',
    '--install-key FILE   private key of the app installation, in PEM; created if missing (default: a new key)',
    '--account KEY_ID     sign with this key of messageSigningKeys too',
    '--token TOKEN        sign with this token instead of a new one; - reads it from stdin',
  ],
  options: { ...TOKEN_OPTIONS, ...SIGNING_OPTIONS },
  argument: { name: 'URL', values: [], ofOption: 'sign-request' },
  async run(options, io) {
    const claims = readClaims(options, io.nowSeconds());
    const request = await readRequest(options);
    if (request === undefined) rejectSigningOptions(options);
    const loaded = await loadConfig(configFile(options, io), io.env);
    if (request === undefined) {
      io.out(mintToken(options, loaded, claims));
      return EXIT.ok;
    }
    const policy = policyFor(request, loaded.config.policyTable);
    const signers = await loadSigners(options, loaded);
    const token =
      (await readToken(options, io)) ?? mintToken(options, loaded, { ...signers.claims, ...claims });
    if (!/^[!-~]+$/.test(token)) throw new UsageError('--token: not a token');
    for (const [name, value] of signedHeaders(request, policy, token, signers, io.nowSeconds()))
      io.out(`${name}: ${value}`);
    return EXIT.ok;
  },
};

function rejectSigningOptions(options: Options): void {
  const given = Object.keys(SIGNING_OPTIONS).find((name) => options.has(name));
  if (given !== undefined) throw new UsageError(`--${given}: needs --sign-request METHOD URL`);
}
