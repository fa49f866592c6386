/** Tests how long overrides last, and what ends them, with a clock that the test sets. */
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import {
  createModeOverrides,
  type ModeOverride,
  type ModeOverrides,
} from '../../../src/server/mode-overrides.ts';

let clockMs: number;
let events: string[];
let overrides: ModeOverrides;

beforeEach(() => {
  vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout'] });
  clockMs = 5000;
  events = [];
  overrides = createModeOverrides({
    nowMs: () => clockMs,
    onChange: () => events.push(describeModes()),
    onEnd: ({ policy, mode }, cause) => events.push(`${policy} ${mode} ${cause}`),
  });
});
afterEach(() => void vi.useRealTimers());

function describeModes(): string {
  return Array.from(overrides.modes(), ([policy, mode]) => `${policy}=${mode}`).join(' ') || 'none';
}

function lasting(ms: number, fields: Partial<ModeOverride> = {}): ModeOverride {
  return {
    policy: 'default',
    mode: 'observe',
    reason: 'test',
    startedAtMs: 0,
    endsAtMs: clockMs + ms,
    ...fields,
  };
}

function pass(ms: number): void {
  clockMs += ms;
  vi.advanceTimersByTime(ms);
}

describe('an override', () => {
  it('is active until its time has passed', () => {
    overrides.set(lasting(1000));
    pass(999);
    expect(describeModes()).toBe('default=observe');
    pass(1);
    expect(events).toEqual(['default=observe', 'default observe expired', 'none']);
  });

  it('ends by the clock, even if its timer fires early', () => {
    overrides.set(lasting(1000));
    vi.advanceTimersByTime(1000);
    expect(describeModes()).toBe('default=observe');
    clockMs += 1000;
    vi.advanceTimersByTime(1000);
    expect(describeModes()).toBe('none');
  });

  it('is replaced by the next one of the same policy, whose time counts', () => {
    overrides.set(lasting(1000));
    overrides.set(lasting(3000, { mode: 'limit' }));
    pass(1500);
    expect(events).toEqual(['default=observe', 'default observe replaced', 'default=limit']);
    pass(1500);
    expect(events.slice(3)).toEqual(['default limit expired', 'none']);
  });

  it('leaves those of other policies alone', () => {
    overrides.set(lasting(2000));
    overrides.set(lasting(1000, { policy: 'pay', mode: 'limit' }));
    pass(1000);
    expect(describeModes()).toBe('default=observe');
    pass(1000);
    expect(describeModes()).toBe('none');
  });

  it('can be cleared, once', () => {
    overrides.set(lasting(1000));
    overrides.clear('other');
    overrides.clear('default');
    overrides.clear('default');
    pass(2000);
    expect(events).toEqual(['default=observe', 'default observe cleared', 'none']);
  });

  it('ends when its policy is removed, and does not return with it', () => {
    overrides.set(lasting(1000));
    overrides.retain(new Map([['default', {}]]));
    overrides.retain(new Map([['other', {}]]));
    overrides.retain(new Map([['default', {}]]));
    expect(events).toEqual(['default=observe', 'default observe policy removed', 'none']);
  });
});

describe('all overrides', () => {
  it('are replaced by those that another process passes on, and still end by themselves', () => {
    overrides.set(lasting(1000));
    overrides.replaceAll([lasting(500, { policy: 'pay' }), lasting(900, { policy: 'shop' })]);
    expect(describeModes()).toBe('pay=observe shop=observe');
    pass(600);
    expect(describeModes()).toBe('shop=observe');
    overrides.replaceAll([]);
    expect(describeModes()).toBe('none');
    expect(vi.getTimerCount()).toBe(0);
  });
});
