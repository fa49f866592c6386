import { describe, expect, it } from 'vitest';
import { parseSdkStatus, SDK_STATUSES } from '../../../src/approov/sdk-status.ts';

describe('the SDK status words', () => {
  it('are those that SDKs and their service layers send', () => {
    expect(SDK_STATUSES).toEqual([
      'success',
      'no_network',
      'poor_network',
      'no_network_permission',
      'untrusted_network',
      'mitm_detected',
      'no_approov_service',
      'rejected',
      'internal_error',
      'bad_url',
      'unknown_url',
      'unprotected_url',
      'missing_lib_dependency',
      'disabled',
      'not_initialized',
      'unknown_key',
      'bad_key',
      'bad_payload',
    ]);
  });

  it.each(SDK_STATUSES)('parses %s in any case', (word) => {
    const mixed = word.replace(/^./, (letter) => letter.toUpperCase());
    expect([word, word.toUpperCase(), mixed].map(parseSdkStatus)).toEqual([word, word, word]);
  });

  it.each(['reject', 'constructor', 'FUTURE_STATUS', '_', 'a'.repeat(60_000)])(
    'are %s, else it is `other`',
    (text) => {
      expect(parseSdkStatus(text)).toBe('other');
    },
  );

  it.each([
    '',
    ' rejected',
    'rejected ',
    'rejected,rejected',
    'MITM DETECTED',
    'no-network',
    'a.b.c',
    'e1',
    'é',
  ])('does not parse %j', (text) => {
    expect(parseSdkStatus(text)).toBeUndefined();
  });
});
