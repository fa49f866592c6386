/** Implements `explain`: evaluates a request described on the command line, and explains the decision. */
import { evaluate } from '../authz/evaluate.ts';
import type { ReplayGuard } from '../authz/replay.ts';
import { TokenVerifier } from '../authz/token-verifier.ts';
import { loadConfig } from '../sources/config-store.ts';
import { fetchKeyset } from '../sources/key-store.ts';
import { escapeUnprintable } from '../telemetry/printable.ts';
import { type Command, configFile, EXIT } from './command.ts';
import { explainDecision } from './explain/explanation.ts';
import { formatExplanation } from './explain/layout.ts';
import { readRequest, readTime, withToken } from './explain/request.ts';
import { readToken } from './request-options.ts';

/** Only the running service knows what was sent before. */
const NO_MEMORY: ReplayGuard = { check: () => ({ kind: 'fresh' }) };

export const explain: Command = {
  help: [
    '--token TOKEN        the token, without its header; - reads it from stdin',
    "--header 'NAME: V'   a header of the request; repeat for more",
    '--host HOST          the host (default: none)',
    '--path PATH          the path (default: /)',
    '--method METHOD      the method (default: GET)',
    '--body-file FILE     the body of the request, as if Envoy had sent it along',
    '--policy NAME        the policy, as if Envoy had sent it in context_extensions',
    '--at TIME            decide as of then: 2026-01-31T12:00:00Z, or seconds since the epoch',
    '--json               print JSON',
  ],
  options: {
    token: { type: 'string' },
    header: { type: 'string', multiple: true },
    host: { type: 'string' },
    path: { type: 'string' },
    method: { type: 'string' },
    'body-file': { type: 'string' },
    policy: { type: 'string' },
    at: { type: 'string' },
    json: { type: 'boolean' },
  },
  argumentAdvice: 'give a token with --token TOKEN, or pipe it in with --token -',
  async run(options, io) {
    const now = readTime(options, io);
    const bare = await readRequest(options);
    const { config, keys, decryptionKeys, messageSigningKeys } = await loadConfig(
      configFile(options, io),
      io.env,
    );
    const { policyTable } = config;
    const request = withToken(bare, policyTable, await readToken(options, io));
    const { keyset, problems } = await fetchKeyset(keys, config.proxy);
    for (const [id, problem] of problems) io.err(`the keys of ${id} are not loaded: ${problem}`);
    const verifier = new TokenVerifier({ keyset, decryptionKeys, messageSigningKeys, tokenCacheEntries: 0 });
    const services = { replayGuard: NO_MEMORY };
    const decision = await evaluate(request, { policyTable, verifier }, () => now.seconds, services);
    const explanation = explainDecision({
      decision,
      request,
      policyTable,
      verifier,
      isTimeGiven: now.isGiven,
    });
    const lines = options.flag('json')
      ? JSON.stringify(explanation, null, 2).split('\n').map(escapeUnprintable)
      : formatExplanation(explanation, io.hasColors);
    io.out(lines.join('\n'));
    return decision.action === 'deny' ? EXIT.refused : EXIT.ok;
  },
};
