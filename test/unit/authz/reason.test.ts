import { describe, expect, it } from 'vitest';
import { REASON_NAMES, REASONS, STEPS } from '../../../src/authz/reason.ts';

describe('the reasons', () => {
  it('each have the verdict and step of the contract', () => {
    const rows = Object.entries(REASONS).map(([name, { verdict, step }]) => [name, verdict, step]);
    expect(rows).toEqual([
      ['ok', 'verified', undefined],
      ['policy_off', 'skipped', 'policy'],
      ['cors_preflight', 'skipped', 'policy'],
      ['unknown_policy', 'unverified', 'policy'],
      ['missing_approov_token', 'unverified', 'token'],
      ['duplicate_approov_token', 'unverified', 'token'],
      ['invalid_token_format', 'unverified', 'token'],
      ['unsupported_token_algorithm', 'unverified', 'key'],
      ['unknown_key_id', 'unverified', 'key'],
      ['invalid_token_signature', 'unverified', 'signature'],
      ['missing_expiry', 'unverified', 'lifetime'],
      ['token_expired', 'unverified', 'lifetime'],
      ['token_not_yet_valid', 'unverified', 'lifetime'],
      ['claim_mismatch', 'unverified', 'claims'],
      ['missing_pay_claim', 'unverified', 'binding'],
      ['missing_binding_header', 'unverified', 'binding'],
      ['binding_mismatch', 'unverified', 'binding'],
      ['missing_message_signature', 'unverified', 'message_signature'],
      ['invalid_message_signature', 'unverified', 'message_signature'],
      ['message_signature_expired', 'unverified', 'message_signature'],
      ['missing_signed_components', 'unverified', 'message_signature'],
      ['content_digest_mismatch', 'unverified', 'message_signature'],
      ['message_replayed', 'unverified', 'message_signature'],
      ['internal_error', 'unverified', undefined],
    ]);
  });

  it('are listed by name for metrics and documentation', () => {
    expect(REASON_NAMES).toEqual(Object.keys(REASONS));
  });

  it.each(REASON_NAMES)('explain %s and its remedy in sentences', (name) => {
    const { meaning, remedy } = REASONS[name];
    expect(meaning).toMatch(/^[`A-Z].+\.$/);
    expect(remedy).toMatch(/^[A-Z].+\.$/);
  });

  it('never distinguish a failed attestation from a forgery', () => {
    for (const { meaning, remedy } of Object.values(REASONS)) {
      const text = `${meaning} ${remedy}`;
      expect(/attestation/.test(text), text).toBe(/forg/.test(text));
    }
    expect(REASONS.invalid_token_signature.meaning).toContain('a failed attestation or a forgery');
  });
});

describe('the steps', () => {
  it('are in the order of the contract', () => {
    expect(Object.keys(STEPS)).toEqual([
      'policy',
      'token',
      'key',
      'signature',
      'lifetime',
      'claims',
      'binding',
      'message_signature',
    ]);
  });

  it('each have a reason', () => {
    const used = new Set(Object.values(REASONS).map((row) => row.step));
    expect(Object.keys(STEPS).filter((step) => !used.has(step as keyof typeof STEPS))).toEqual([]);
  });
});
