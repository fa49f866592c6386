/** Schema of what the configuration file says about message signatures: policies, keys and the replay store. */
import * as z from 'zod';
import { readHost } from '../authz/host.ts';
import { filePath } from './listen.ts';
import { isUnique } from './lists.ts';
import { name, text } from './names.ts';
import { hasCredentials } from './url.ts';

/** A derived component of a request (RFC 9421 §2.2), or a header. */
const COMPONENT =
  /^(@(method|target-uri|authority|scheme|path|query|query-param|request-target)|[!#$%&'*+.^_`|~0-9A-Za-z-]+)$/;

const component = z
  .string()
  .regex(COMPONENT, 'must be a component such as @method or @target-uri, or the name of a header')
  .toLowerCase()
  .refine(
    (value) => value !== 'host',
    'must not be host, which Envoy sends apart from the headers: write @authority',
  );

const externalHost = z
  .string()
  .refine(
    (value) => readHost(value) !== undefined && !value.endsWith(':'),
    'must be one host, with its port if clients name one, such as api.example.com',
  );

export const MESSAGE_SIGNATURE = z
  .strictObject({
    install: z
      .enum(['off', 'when-ipk', 'required'])
      .default('when-ipk')
      .describe(
        'Whether a request must be signed by the app installation: never (`off`), if its token names the installation’s key in `ipk` (`when-ipk`), or always (`required`).',
      ),
    account: z
      .enum(['off', 'when-mskid', 'required'])
      .default('off')
      .describe(
        'Whether a request must be signed with an account key, of `messageSigningKeys`: never (`off`), if its token names one in `mskid` (`when-mskid`), or always (`required`).',
      ),
    requiredComponents: z
      .union(
        [z.literal('default'), z.array(component).min(1).refine(isUnique, 'must not name a component twice')],
        'must be default, or a list of components such as "@method"',
      )
      .default('default')
      .meta({
        description:
          'What a signature must cover. `default`: the method, the token header and the URL, as `@target-uri` or as `@authority`, `@path` and, if there is one, `@query`. Otherwise a list of components and headers.',
        examples: [['@method', '@target-uri', 'approov-token', 'authorization']],
      }),
    contentDigest: z
      .enum(['off', 'if-present', 'required'])
      .default('if-present')
      .describe(
        'Whether the body is compared with `Content-Digest`: never (`off`), if the signature covers that header and Envoy sent the body (`if-present`), or for every request with a body (`required`), for which Envoy must send the body (`with_request_body`).',
      ),
    maxAgeSeconds: z
      .number()
      .min(1)
      .max(1_000_000_000)
      .default(300)
      .describe('Longest time since a signature was made (`created`), whatever its `expires` says.'),
    clockToleranceSeconds: z
      .number()
      .min(0)
      .max(300)
      .default(60)
      .describe(
        'How far the clocks of apps and the service may differ when `created` and `expires` are checked.',
      ),
    replay: z
      .enum(['off', 'per-instance', 'shared'])
      .default('off')
      .describe(
        'Whether a signature is accepted only once: not checked (`off`), once per instance (`per-instance`; with one worker only), or once for all instances (`shared`, with `replayStore`).',
      ),
    externalScheme: z
      .enum(['http', 'https'])
      .default('https')
      .describe('Scheme of the URL that apps request, which is what they sign.'),
    externalHost: externalHost
      .nullable()
      .default(null)
      .meta({
        description:
          'Host of the URL that apps request, if a proxy before Envoy replaces it. By default, the host of the request.',
        examples: ['api.example.com'],
      }),
    acceptDerSignatures: z
      .boolean()
      .default(false)
      .describe(
        'Whether the installation’s signature may also be in DER, which hand-written clients send; the Approov SDK does not.',
      ),
  })
  .refine(({ install, account }) => install !== 'off' || account !== 'off', {
    path: ['install'],
    error:
      'must not be off while account is off too: nothing would be verified; for that, write messageSignature: null',
  });

export const MESSAGE_SIGNING_KEY = z.strictObject({
  id: name.describe('Name of the key in metrics and logs, different from the id of every other key.'),
  mskid: text.meta({
    description:
      'Tokens with this `mskid` use this key: the key id that `approov secret -messageSigningKey get-base64url` prints. Quote it if it looks like a number.',
    examples: ['j3AWy6'],
  }),
  secretFile: filePath.describe(
    'File with the key in base64 or base64url: the last line that the Approov CLI prints, and nothing else.',
  ),
});

const STORE_URL = /^rediss?:\/\/[^/?#@]+(\/[0-9]*)?$/;

export const REPLAY_STORE = z
  .strictObject({
    url: z
      .string()
      .refine((url) => !URL.canParse(url) || !hasCredentials(url), {
        error: 'must not have a user name or password: put them into usernameFile and passwordFile',
        abort: true,
      })
      .regex(STORE_URL, {
        message: 'must be a URL such as redis://redis:6379, or rediss://redis:6379 for TLS',
        abort: true,
      })
      .refine((url) => URL.canParse(url), 'must be a URL such as redis://redis:6379')
      .meta({
        description:
          'URL of a Redis-compatible store (Redis 7.0 or later, or Valkey): `redis://host:port`, or `rediss://host:port` for TLS, each with `/` and the number of a database if it is not 0.',
        examples: ['redis://redis:6379', 'rediss://redis.example.com:6379/1'],
      }),
    timeoutMs: z
      .int()
      .min(1)
      .max(1000)
      .default(20)
      .describe(
        'Longest time that a check waits for the store. Keep it well below the timeout of Envoy’s ext_authz filter.',
      ),
    onError: z
      .enum(['deny', 'allow'])
      .default('deny')
      .describe(
        'What happens to a signed request if the store does not answer: `internal_error` (`deny`), or it passes unchecked (`allow`). Both are counted.',
      ),
    caFile: filePath
      .optional()
      .describe(
        'With `rediss`: CA certificates in PEM, the only ones trusted for the store. By default, those of Node.',
      ),
    usernameFile: filePath
      .optional()
      .describe('File with the user name for the store. Omitted: the default user.'),
    passwordFile: filePath.optional().describe('File with the password for the store.'),
  })
  .superRefine(({ url, caFile, usernameFile, passwordFile }, context) => {
    if (caFile !== undefined && url.startsWith('redis:'))
      context.addIssue({ code: 'custom', path: ['caFile'], message: 'goes with a rediss URL only' });
    if (usernameFile !== undefined && passwordFile === undefined)
      context.addIssue({ code: 'custom', path: ['usernameFile'], message: 'needs a passwordFile' });
  });

export type ReplayStoreSettings = z.infer<typeof REPLAY_STORE>;
