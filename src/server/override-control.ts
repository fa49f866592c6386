/** Sets and ends overrides for the operator of an instance, and logs, counts and describes them. */
import type { Registry } from 'prom-client';
import type { ActiveOverride, OverrideOutcome, Overrides } from '../admin/override-page.ts';
import type { OverrideRequest } from '../config/override-request.ts';
import type { ConfigStore } from '../sources/config-store.ts';
import type { Log } from '../telemetry/log.ts';
import { createOverrideMetrics } from '../telemetry/override-metrics.ts';
import {
  createModeOverrides,
  type EndCause,
  type ModeOverride,
  type ModeOverrides,
} from './mode-overrides.ts';

interface OverrideControl extends Overrides {
  readonly modes: ModeOverrides;
  /** What `/config` notes at the modes of policies, by path. */
  notes(): ReadonlyMap<string, string>;
}

interface OverrideControlOptions {
  readonly configStore: Pick<ConfigStore, 'current'>;
  readonly log: Pick<Log, 'warn'>;
  /** Of the process that serves the admin pages. */
  readonly registry: Registry;
  /** A monotonic clock. */
  readonly nowMs: () => number;
  readonly onChange: () => void;
}

export function createOverrideControl(options: OverrideControlOptions): OverrideControl {
  const { configStore, log, registry, nowMs, onChange } = options;
  const policies = () => configStore.current().config.policyTable.policies;
  const modes = createModeOverrides({ nowMs, onChange, onEnd: logEnd });
  const metrics = createOverrideMetrics(registry, {
    policies: () => policies().keys(),
    active: modes.active,
  });

  function describe(override: ModeOverride): ActiveOverride {
    const { policy, mode, reason, startedAtMs, endsAtMs } = override;
    const leftMs = Math.max(0, endsAtMs - nowMs());
    return {
      policy,
      mode,
      configured_mode: policies().get(policy)?.mode ?? 'removed',
      reason,
      started_at: new Date(startedAtMs).toISOString(),
      ends_at: new Date(Date.now() + leftMs).toISOString(),
      seconds_left: Math.ceil(leftMs / 1000),
    };
  }

  function logEnd({ policy, mode }: ModeOverride, cause: EndCause): void {
    log.warn({ policy, mode, configured_mode: policies().get(policy)?.mode, cause }, 'override ended');
  }

  function set({ policy, mode, seconds, reason }: OverrideRequest & { kind: 'set' }): ModeOverride {
    const endsAtMs = nowMs() + seconds * 1000;
    const override = { policy, mode, reason, startedAtMs: Date.now(), endsAtMs };
    modes.set(override);
    metrics.overrideSet(override);
    const { configured_mode, ends_at } = describe(override);
    log.warn({ policy, mode, configured_mode, ends_at, by: 'local admin', reason }, 'override set');
    return override;
  }

  return {
    modes,
    active: () => modes.active().map(describe),

    apply(request): OverrideOutcome {
      const policy = policies().get(request.policy);
      if (policy === undefined) return { kind: 'unknown_policy', known: [...policies().keys()] };
      const before = modes.active().find((override) => override.policy === policy.name);
      const ended = before === undefined ? null : describe(before);
      if (request.kind === 'clear') modes.clear(policy.name);
      const active = request.kind === 'clear' ? null : describe(set(request));
      return { kind: 'done', policy: policy.name, configured_mode: policy.mode, active, ended };
    },

    notes: () =>
      new Map(
        modes
          .active()
          .map(describe)
          .map(({ policy, mode, ends_at }) => [
            `policies.${policy}.mode`,
            `overridden by ${mode} until ${ends_at}`,
          ]),
      ),
  };
}
