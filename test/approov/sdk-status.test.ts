/** Owns the proof that the SDK status words are the known ones, in any case. */
import { describe, expect, it } from 'vitest';
import { parseSdkStatus, SDK_STATUSES } from '../../src/approov/sdk-status.ts';

describe('the SDK status words', () => {
  it('are the eleven of the contract', () => {
    expect(SDK_STATUSES).toEqual([
      'success',
      'no_network',
      'poor_network',
      'untrusted_network',
      'mitm_detected',
      'no_approov_service',
      'rejected',
      'internal_error',
      'bad_url',
      'unknown_url',
      'unprotected_url',
    ]);
  });

  it.each(SDK_STATUSES)('knows %s in any case', (word) => {
    const mixed = word.replace(/^./, (letter) => letter.toUpperCase());
    expect([word, word.toUpperCase(), mixed].map(parseSdkStatus)).toEqual([word, word, word]);
  });

  it.each(['', ' rejected', 'rejected ', 'reject', 'rejected,rejected', 'constructor', 'MITM DETECTED'])(
    'knows no word in %j',
    (text) => {
      expect(parseSdkStatus(text)).toBeUndefined();
    },
  );
});
