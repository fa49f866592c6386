/** Lists what each status word of the Approov SDKs means, and who can fix it. */
import type { ReportedSdkStatus } from './sdk-status.ts';

interface StatusMeaning {
  readonly meaning: string;
  /** Who can fix it. */
  readonly fixBy: string;
}

const APP = 'the app developer';
const ACCOUNT = 'the owner of the Approov account';
const USER = 'the user of the device; there is nothing to fix here';
const MANY = 'the user of the device, or Approov’s support if there are many';

export const SDK_STATUS_MEANINGS: Readonly<Record<ReportedSdkStatus, StatusMeaning>> = {
  success: {
    meaning: 'the SDK got a token, so the token was lost between the SDK and here',
    fixBy: `${APP}, or the operator of a proxy in between`,
  },
  no_network: { meaning: 'the device had no network; the app may retry', fixBy: USER },
  poor_network: {
    meaning: 'the network was too poor to reach Approov; the app may retry',
    fixBy: USER,
  },
  no_network_permission: { meaning: 'the app lacks the permission to use the network', fixBy: APP },
  untrusted_network: {
    meaning: 'the connection to Approov was intercepted, by a proxy or an attacker',
    fixBy: MANY,
  },
  mitm_detected: {
    meaning: 'the connection to Approov was intercepted, by a proxy or an attacker',
    fixBy: MANY,
  },
  no_approov_service: {
    meaning: 'Approov’s service gave no token, so the app goes on without one',
    fixBy: `Approov, or ${ACCOUNT} if it lasts`,
  },
  rejected: {
    meaning: 'Approov did not accept the app or the device; its ARC says why',
    fixBy: ACCOUNT,
  },
  internal_error: { meaning: 'the SDK failed internally', fixBy: `${APP}, with Approov’s support` },
  bad_url: { meaning: 'the app gave the SDK a URL that is malformed or not https', fixBy: APP },
  unknown_url: {
    meaning: 'the API’s domain has not been added to the Approov account (`approov api -add`)',
    fixBy: ACCOUNT,
  },
  unprotected_url: {
    meaning: 'the API’s domain was added to the Approov account without tokens (`-noApproovToken`)',
    fixBy: ACCOUNT,
  },
  missing_lib_dependency: { meaning: 'the app was built without a library that the SDK needs', fixBy: APP },
  disabled: {
    meaning: 'the feature that the app asked for is disabled in the Approov account',
    fixBy: ACCOUNT,
  },
  not_initialized: { meaning: 'the app sent a request before it initialized the SDK', fixBy: APP },
  unknown_key: {
    meaning: 'the app asked for a secure string that is not defined',
    fixBy: `${APP}, or ${ACCOUNT}`,
  },
  bad_key: { meaning: 'the app asked for a secure string with an invalid name', fixBy: APP },
  bad_payload: { meaning: 'the app asked for a custom JWT with an invalid payload', fixBy: APP },
  other: {
    meaning: 'not a status word of an SDK; apps also send words like `null` or `undefined` by mistake',
    fixBy: APP,
  },
};
