/** Keeps the overrides of policies' modes until they end. */
import type { OverrideMode } from '../config/override-request.ts';

export interface ModeOverride {
  readonly policy: string;
  readonly mode: OverrideMode;
  /** Printable. */
  readonly reason: string;
  /** Since the epoch. */
  readonly startedAtMs: number;
  /** Of a monotonic clock: a clock that is set must not prolong an override. */
  readonly endsAtMs: number;
}

export type EndCause = 'expired' | 'cleared' | 'replaced' | 'policy removed';

interface ModeOverridesOptions {
  /** A monotonic clock. */
  readonly nowMs: () => number;
  /** The modes differ from before. */
  readonly onChange: () => void;
  readonly onEnd?: (override: ModeOverride, cause: EndCause) => void;
}

export type ModeOverrides = ReturnType<typeof createModeOverrides>;

export function createModeOverrides({ nowMs, onChange, onEnd }: ModeOverridesOptions) {
  const byPolicy = new Map<string, ModeOverride>();
  let timer: NodeJS.Timeout | undefined;

  function changed(): void {
    clearTimeout(timer);
    timer = undefined;
    if (byPolicy.size > 0) {
      const next = Math.min(...Array.from(byPolicy.values(), ({ endsAtMs }) => endsAtMs));
      // A timer may fire a little early, and must not spin then.
      timer = setTimeout(expire, Math.max(1, next - nowMs()));
      timer.unref();
    }
    onChange();
  }

  function expire(): void {
    end('expired', ({ endsAtMs }) => endsAtMs <= nowMs());
    // Again for the next one.
    changed();
  }

  function end(cause: EndCause, isEnded: (override: ModeOverride) => boolean): readonly ModeOverride[] {
    const ended = [...byPolicy.values()].filter(isEnded);
    for (const override of ended) {
      byPolicy.delete(override.policy);
      onEnd?.(override, cause);
    }
    return ended;
  }

  return {
    active: (): readonly ModeOverride[] => [...byPolicy.values()],

    modes: (): ReadonlyMap<string, OverrideMode> =>
      new Map(Array.from(byPolicy, ([policy, { mode }]) => [policy, mode])),

    /** Replaces the override of the same policy, if there is one. */
    set(override: ModeOverride): void {
      end('replaced', ({ policy }) => policy === override.policy);
      byPolicy.set(override.policy, override);
      changed();
    },

    clear(name: string): void {
      if (end('cleared', ({ policy }) => policy === name).length > 0) changed();
    },

    /** Ends the overrides of all other policies: they are not configured any more. */
    retain(policies: ReadonlyMap<string, unknown>): void {
      if (end('policy removed', ({ policy }) => !policies.has(policy)).length > 0) changed();
    },

    /** Uses these and no others. */
    replaceAll(overrides: readonly ModeOverride[]): void {
      byPolicy.clear();
      for (const override of overrides) byPolicy.set(override.policy, override);
      changed();
    },
  };
}
