/** Says by which rules a policy judges checks, so that the counts of two versions of it are not added up. */
import type { Policy } from '../authz/policy.ts';

/** Whether a field decides verdicts. Each field is listed, so that a new one cannot be forgotten. */
const DECIDES_VERDICTS: Readonly<Record<keyof Policy, boolean>> = {
  name: false,
  // What a verdict leads to.
  mode: false,
  enforcePercent: false,
  denied: false,
  forwardToken: false,
  forwardClaims: false,
  tokenHeader: true,
  tokenPrefix: true,
  binding: true,
  issuer: true,
  audience: true,
  clockToleranceSeconds: true,
  allowCorsPreflight: true,
  messageSignature: true,
};

/** @returns a text that is the same for two policies only if they judge every check alike. */
export function judgingRules(policy: Policy): string {
  const rules = Object.entries(policy).filter(([field]) => DECIDES_VERDICTS[field as keyof Policy]);
  return JSON.stringify(rules.sort(([one], [other]) => (one < other ? -1 : 1)));
}
