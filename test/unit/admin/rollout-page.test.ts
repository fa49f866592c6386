/** Tests what the rollout page says in cases that a day of ordinary traffic does not have. */
import { describe, expect, test } from 'vitest';
import { renderRollout } from '../../../src/admin/rollout-page.ts';
import { createRolloutRecorder } from '../../../src/rollout/recorder.ts';
import type { ReportParts } from '../../../src/rollout/report.ts';
import { NOW, policy, policyTable } from '../../support/check.ts';
import { recordOf, reportOf } from '../../support/rollout.ts';
import { mintToken } from '../../support/token.ts';

const NOW_TEXT = '2026-11-24T06:00:00.000Z';

/** Without markup. */
function textOf(parts: Partial<ReportParts> = {}): string {
  return renderRollout(reportOf(parts))
    .replace(/<style>.*<\/style>/s, '')
    .replace(/<[^>]*>/g, ' ')
    .replace(/[\s\u00a0]+/g, ' ');
}

describe('the rollout page', () => {
  test('of a service that has counted nothing says so, and what it covers', () => {
    const text = textOf();
    expect(text).toContain('covers this instance ( authz-0 ), since 24 Nov 2026, 05:59 UTC : 1 min.');
    expect(text).toContain(
      'Can’t tell: 0 checks judged in the last 24 h, fewer than 10,000; counted for 1 min, less than 24 h.',
    );
    expect(text).toContain('No check was refused in the last 24 hours.');
    expect(text).not.toContain('NaN');
  });

  test('says over how many workers it adds up, and what a restart of one lost', () => {
    expect(textOf({ covers: { instance: 'a', processes: 4, worker_restarts: 2 } })).toContain(
      'covers this instance ( a ), all 4 workers, since 24 Nov 2026, 05:59 UTC : 1 min. 2 workers restarted; the last seconds that each counted are lost.',
    );
  });

  test('shows an override, and assesses the mode that is in effect', () => {
    const override = {
      mode: 'enforce',
      since: '2026-11-24T05:58:00.000Z',
      until: '2026-11-24T06:30:00.000Z',
      reason: 'trial <b>run</b>',
    };
    const html = renderRollout(reportOf({ overrides: new Map([['default', override]]) }));
    expect(html).toContain('; reason: trial &lt;b&gt;run&lt;/b&gt;</p>');
    expect(html).toContain('<dt>Refused, 24\u00a0h</dt>');
  });

  test('shows the mode that an override sets, how long it lasts, and how to end it', () => {
    const override = { mode: 'observe', since: NOW_TEXT, until: '2026-11-24T06:30:00.000Z', reason: 'trial' };
    const policies = policyTable(policy({ mode: 'enforce' }), [], [policy({ name: 'pay' })]);
    const text = textOf({ policyTable: policies, overrides: new Map([['default', override]]) });
    // In the overview and in the heading.
    expect(text.match(/default observe \(overridden; configured: enforce\)/g)).toHaveLength(1);
    expect(text).toContain('Policy default mode observe (overridden; configured: enforce), default policy');
    expect(text).toContain(
      'Overridden: mode observe for another 30 min, until 24 Nov 2026, 06:30 UTC , then enforce as configured; reason: trial',
    );
    expect(text).toContain(
      'This ends the override; mode enforce returns: approov-ext-authz override --policy default --clear Policy pay',
    );
  });

  test.each([
    { mode: 'observe' },
    { mode: 'limit' },
    { mode: 'enforce' },
    { mode: 'enforce', enforcePercent: 5 },
  ] as const)('says how to undo enforcing a policy with %j', (fields) => {
    const words =
      'How to undo it If enforcing locks users out, this sets the instance back to observe immediately';
    expect(textOf({ policyTable: policyTable(policy(fields)) })).toContain(words);
  });

  test('shows the share of devices for which a policy enforces, and what was refused of all', () => {
    const under = policy({ mode: 'enforce', enforcePercent: 25 });
    const html = renderRollout(reportOf({ policyTable: policyTable(under) }));
    expect(html).toContain('mode enforce for 25\u00a0% of devices, default policy');
    expect(html).toContain('<dt>Refused, 24\u00a0h</dt>');
  });

  test('shows the counts of a policy that is off while an override is active', () => {
    const override = {
      mode: 'observe',
      since: '2026-11-24T05:58:00.000Z',
      until: '2026-11-24T06:30:00.000Z',
      reason: 'trial',
    };
    expect(
      textOf({
        policyTable: policyTable(policy({ mode: 'off' })),
        overrides: new Map([['default', override]]),
      }),
    ).toContain('Refused, 24 h');
  });

  test('says that a policy has been counted for less long than the page covers, and since what', () => {
    const recorder = createRolloutRecorder(NOW - 86_400);
    recorder.configure(policyTable(policy()), undefined, NOW - 86_400);
    recorder.configure(policyTable(policy({ issuer: ['approov.io'] })), undefined, NOW - 120);
    expect(textOf({ snapshot: recorder.snapshot() })).toContain(
      'Policy counted for 2 min since the policy was changed, from 24 Nov 2026, 05:58 UTC .',
    );
    expect(textOf()).not.toContain('Policy counted for');
  });

  test('escapes what a file that cannot be reloaded says', () => {
    const problem = `config.yaml:1:1: "'&<script>alert(1)</script>`;
    const html = renderRollout(reportOf({ failingReloads: [{ source: 'config', problems: [problem] }] }));
    expect(html).toContain(
      '<li>config: config.yaml:1:1: &quot;&#39;&amp;&lt;script&gt;alert(1)&lt;/script&gt;</li>',
    );
    expect(html).not.toContain('<script');
  });

  test('shows the checks that named no configured policy', () => {
    const recorder = createRolloutRecorder(NOW);
    recorder.checkDone(recordOf({ policyName: 'nowhere' }));
    expect(textOf({ snapshot: recorder.snapshot() })).toContain(
      '1 check in the last 24 hours had no configured policy and was refused',
    );
    expect(textOf()).not.toContain('no configured policy');
  });

  test('suggests a slow clock if tokens are not valid yet', () => {
    const recorder = createRolloutRecorder(NOW);
    const token = mintToken({ exp: NOW + 300, nbf: NOW + 5 });
    recorder.checkDone(recordOf({ headers: { 'approov-token': token } }));
    expect(textOf({ snapshot: recorder.snapshot() })).toContain(
      'Clock: 1 token was not valid yet: check this machine’s clock, which may be slow.',
    );
  });

  test('shows a policy that is off without counts', () => {
    const text = textOf({ policyTable: policyTable(policy({ mode: 'off' })) });
    expect(text).toContain('Can’t tell: the policy is off, so no check is judged; set it to observe.');
    expect(text).not.toContain('Refused, 24 h');
  });

  test('says since when a key has not been used, as it does not know of the time before', () => {
    const keys = [{ id: 'next', verifications: 0, last_used_at: null }];
    expect(textOf({ keys })).toContain('next 0 not since 24 Nov 2026, 05:59 UTC');
  });

  test('has no overview for a single policy', () => {
    expect(textOf()).not.toContain('Safe to enforce?');
    const others = policyTable(policy(), [], [policy({ name: 'other' })]);
    expect(textOf({ policyTable: others })).toContain('Safe to enforce?');
  });
});
