/** Writes the symmetric keys as a JWK Set, with which Envoy's jwt_authn verifies tokens itself. */
import { formatProblem } from '../config/config.ts';
import { plural } from '../rollout/words.ts';
import { loadConfig } from '../sources/config-store.ts';
import { type Command, configFile, EXIT, UsageError } from './command.ts';
import { jwkSetOf } from './jwks/jwk-set.ts';
import { policyWarnings } from './jwks/policy-warnings.ts';
import { writePrivateFile } from './jwks/private-file.ts';

export const jwks: Command = {
  help: [
    '--output FILE  where to write the JWK Set; as it contains the secrets, only its owner can read the file',
    'See docs/hybrid.md for how Envoy uses it.',
  ],
  options: { output: { type: 'string' } },
  argumentAdvice: 'name the file with --output FILE',
  async run(options, io) {
    const file = options.text('output');
    if (file === undefined || file === '' || file === '-')
      throw new UsageError('--output: name a file; the JWK Set contains secrets, so it is never printed');
    const loaded = await loadConfig(configFile(options, io), io.env);
    const { members, written, warnings } = jwkSetOf(loaded);
    if (written.length === 0)
      throw new UsageError(
        'no key to write: only shared secrets without `hosts` are written, and none is configured',
      );
    await writePrivateFile(file, `${JSON.stringify({ keys: members })}\n`);
    for (const warning of [...warnings, ...policyWarnings(loaded.config.policyTable)])
      io.err(`warning: ${formatProblem(warning)}`);
    const names = written.map(({ id, fingerprint }) => `${id} (fingerprint ${fingerprint})`);
    io.out(`wrote ${plural(written.length, 'key')}: ${names.join(', ')}`);
    return EXIT.ok;
  },
};
