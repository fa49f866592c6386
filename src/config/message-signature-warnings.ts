/** Finds likely mistakes in what a valid configuration says about message signatures. */
import type { MessageSignaturePolicy } from '../authz/message-signature.ts';
import type { Policy } from '../authz/policy.ts';
import type { Config, Problem } from './config.ts';

export function messageSignatureWarnings({ settings, policyTable, messageSigningKeys }: Config): Problem[] {
  const policies = [...policyTable.policies.values()];
  const sections = policies.flatMap(({ messageSignature }) => messageSignature ?? []);
  return [
    ...(messageSigningKeys.length > 0 && sections.every(({ account }) => account === 'off')
      ? [
          {
            path: 'messageSigningKeys',
            message: 'are not used: no policy has messageSignature with account: when-mskid or required',
          },
        ]
      : []),
    ...(settings.replayStore !== undefined && sections.every(({ replay }) => replay !== 'shared')
      ? [{ path: 'replayStore', message: 'is not used: no policy has messageSignature with replay: shared' }]
      : []),
    ...policies.flatMap(componentWarnings),
  ];
}

const TARGETS = ['@target-uri', '@path', '@request-target'];

/** With a list of its own, a policy may accept a signature that says little about the request. */
function componentWarnings({ name, messageSignature }: Policy): Problem[] {
  const { requiredComponents = 'default', tokenHeader = '' } = messageSignature ?? {};
  if (requiredComponents === 'default') return [];
  const lacking = [
    ...(requiredComponents.includes(tokenHeader) ? [] : [`the token (${tokenHeader})`]),
    ...(requiredComponents.includes('@method') ? [] : ['the method (@method)']),
    ...(TARGETS.some((target) => requiredComponents.includes(target)) ? [] : ['the path (@target-uri)']),
  ];
  if (lacking.length === 0) return [];
  const message = `without ${lacking.join(', ')}, one signature may be accepted for different requests`;
  return [{ path: `policies.${name}.messageSignature.requiredComponents`, message }];
}

/** What a section asks for, so that policies can be compared. */
export function signatureRequirements(policy: MessageSignaturePolicy | null): readonly string[] {
  if (policy === null) return [];
  const { install, account, contentDigest, replay, requiredComponents } = policy;
  return [
    ...(install === 'off' ? [] : ['install signature']),
    ...(install === 'required' ? ['required install signature'] : []),
    ...(account === 'off' ? [] : ['account signature']),
    ...(account === 'required' ? ['required account signature'] : []),
    ...(contentDigest === 'off' ? [] : ['content digest']),
    ...(contentDigest === 'required' ? ['required content digest'] : []),
    ...(replay === 'off' ? [] : ['no replay']),
    ...(requiredComponents === 'default' ? [] : requiredComponents.map((name) => `signed ${name}`)),
  ];
}
