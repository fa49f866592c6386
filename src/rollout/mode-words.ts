/** Writes the mode of a policy for people. */
import { formatPercent } from './words.ts';

interface ModeOfPolicy {
  /** As configured. */
  readonly mode: string;
  readonly enforce_percent?: number | null | undefined;
  readonly override?: { readonly mode: string } | null | undefined;
}

/** `enforce`, or `observe (overridden; configured: enforce)` */
export function formatMode(policy: ModeOfPolicy): string {
  const { override } = policy;
  const configured = formatConfiguredMode(policy);
  return override == null ? configured : `${override.mode} (overridden; configured: ${configured})`;
}

/** `enforce`, or `enforce for 5 % of devices` */
export function formatConfiguredMode({ mode, enforce_percent: percent }: ModeOfPolicy): string {
  return percent == null ? mode : `${mode} for ${formatPercent(percent)} of devices`;
}
