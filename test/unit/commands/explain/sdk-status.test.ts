/** Tests what `explain` says of each status word that an SDK sends in place of a token. */
import { afterAll, describe, expect, it } from 'vitest';
import { SDK_STATUSES } from '../../../../src/approov/sdk-status.ts';
import { createExplainer } from '../../../support/explain.ts';

const explainer = createExplainer();
afterAll(() => explainer.remove());

async function tokenStep(...args: readonly string[]): Promise<readonly string[]> {
  const { text } = await explainer.run(['--host=api.example.com', ...args, '--json']);
  return JSON.parse(text).steps[1].text;
}

const APP = 'who can fix it: the app developer';
const ACCOUNT = 'who can fix it: the owner of the Approov account';
const NETWORK = 'who can fix it: the user of the device; there is nothing to fix here';
const INTERCEPTED = 'the connection to Approov was intercepted, by a proxy or an attacker';
const MANY = 'who can fix it: the user of the device, or Approov’s support if there are many';

const SENTENCES: Readonly<Record<(typeof SDK_STATUSES)[number], readonly [string, string]>> = {
  success: [
    'the SDK got a token, so the token was lost between the SDK and here',
    'who can fix it: the app developer, or the operator of a proxy in between',
  ],
  no_network: ['the device had no network; the app may retry', NETWORK],
  poor_network: ['the network was too poor to reach Approov; the app may retry', NETWORK],
  no_network_permission: ['the app lacks the permission to use the network', APP],
  untrusted_network: [INTERCEPTED, MANY],
  mitm_detected: [INTERCEPTED, MANY],
  no_approov_service: [
    'Approov’s service gave no token, so the app goes on without one',
    'who can fix it: Approov, or the owner of the Approov account if it lasts',
  ],
  rejected: ['Approov did not accept the app or the device; its ARC says why', ACCOUNT],
  internal_error: ['the SDK failed internally', `${APP}, with Approov’s support`],
  bad_url: ['the app gave the SDK a URL that is malformed or not https', APP],
  unknown_url: ['the API’s domain has not been added to the Approov account (`approov api -add`)', ACCOUNT],
  unprotected_url: [
    'the API’s domain was added to the Approov account without tokens (`-noApproovToken`)',
    ACCOUNT,
  ],
  missing_lib_dependency: ['the app was built without a library that the SDK needs', APP],
  disabled: ['the feature that the app asked for is disabled in the Approov account', ACCOUNT],
  not_initialized: ['the app sent a request before it initialized the SDK', APP],
  unknown_key: [
    'the app asked for a secure string that is not defined',
    `${APP}, or the owner of the Approov account`,
  ],
  bad_key: ['the app asked for a secure string with an invalid name', APP],
  bad_payload: ['the app asked for a custom JWT with an invalid payload', APP],
};

describe('the explanation', () => {
  it.each(SDK_STATUSES)('of %s says what it means and who can fix it', async (word) => {
    const [meaning, fixBy] = SENTENCES[word];
    expect(await tokenStep(`--token=${word.toUpperCase()}`)).toEqual([
      'header approov-token: a status word in place of a token',
      `\`${word}\`: ${meaning}`,
      fixBy,
    ]);
  });

  it('of a word in Approov-Status is the same', async () => {
    expect(await tokenStep('--header=Approov-Status: rejected')).toEqual([
      'header approov-token: absent (give it with --token)',
      `\`rejected\`: ${SENTENCES.rejected[0]}`,
      ACCOUNT,
    ]);
  });

  it('of a word in Approov-Status beside a token only repeats it', async () => {
    expect(await tokenStep('--token=eyJ9.QQ.QQ', '--header=Approov-Status: success')).toEqual([
      'header approov-token: 10 characters that are not a token',
      'its first part is not a JSON object in base64url',
      'Approov-Status says `success`',
    ]);
  });
});
