/** The dashboard's rows about tokens, keys and the SDK. */
import { buckets, CHOSEN, checkRate, quantiles, remainingShare } from './queries.mjs';

const NO_TOKENS = 'No tokens with a verified signature';
const NO_SDK_STATUS = 'No app sends a status other than success';
const sdkStatusRate = `sum by (status) (rate(approov_sdk_status_total{${CHOSEN}, status!="success"}[$__rate_interval]))`;

/** @type {readonly import('./panel.mjs').Row[]} */
export const ROWS_OF_TOKENS = [
  {
    title: 'Keys and rotation',
    panels: [
      {
        kind: 'timeseries',
        title: 'Tokens verified by key',
        description:
          'During a rotation the new key rises and the old one falls to zero; then remove the old one.',
        unit: 'reqps',
        width: 10,
        isStacked: true,
        noValue: NO_TOKENS,
        pages: ['Rotation'],
        alerts: ['ApproovRetiredKeyUsed'],
        queries: [
          {
            expr: `sum by (key_id) (rate(approov_key_verifications_total{${CHOSEN}}[$__rate_interval]))`,
            legend: '{{key_id}}',
          },
        ],
      },
      {
        kind: 'stat',
        title: 'Time since last use',
        description:
          'By key, across all instances. A missing key has not been used since the instances started.',
        unit: 's',
        width: 7,
        noValue: 'No key used since the instances started',
        pages: ['Rotation'],
        alerts: ['ApproovKeyQuiet'],
        queries: [
          {
            expr: `time() - (max by (key_id) (approov_key_last_used_timestamp_seconds{${CHOSEN}}) > 0)`,
            legend: '{{key_id}}',
          },
        ],
      },
      {
        kind: 'timeseries',
        title: 'Age of fetched JWK Sets',
        description:
          'Rises between fetches, every 10 minutes. If it only rises, the fetch fails and the last good JWK Set remains in use.',
        unit: 's',
        width: 7,
        limits: { warn: 3600, alarm: 3600 },
        noValue: 'No key has a jwksUrl',
        alerts: ['ApproovJwksStale', 'ApproovKeysNeverLoaded'],
        queries: [{ expr: `max by (key_id) (approov_jwks_age_seconds{${CHOSEN}})`, legend: '{{key_id}}' }],
      },
    ],
  },
  {
    title: 'SDK status',
    panels: [
      {
        kind: 'timeseries',
        title: 'SDK status',
        description:
          'Why apps have no token, according to them. Useful for diagnosis, but not proof: clients can send anything.',
        unit: 'reqps',
        width: 12,
        isStacked: true,
        noValue: NO_SDK_STATUS,
        alerts: ['ApproovSdkStatusSurge'],
        queries: [{ expr: `${sdkStatusRate} > 0`, legend: '{{status}}' }],
      },
      {
        kind: 'timeseries',
        title: 'Share of requests with an SDK status',
        description:
          'Each SDK status other than success, as a share of all checks. Skipped checks count: apps send a status there too.',
        unit: 'percentunit',
        width: 12,
        noValue: NO_SDK_STATUS,
        alerts: ['ApproovSdkStatusSurge'],
        queries: [
          {
            expr: `${sdkStatusRate} / scalar(sum(rate(approov_checks_total{${CHOSEN}}[$__rate_interval])) > 0) > 0`,
            legend: '{{status}}',
          },
        ],
      },
    ],
  },
  {
    title: 'Token remaining',
    panels: [
      {
        kind: 'timeseries',
        title: 'Remaining token lifetime',
        description:
          'Tokens are valid for 5 minutes. With a correct clock, a tenth of them have more than 240 s left and none more than 300 s.',
        unit: 's',
        width: 8,
        noValue: NO_TOKENS,
        alerts: ['ApproovClockAhead'],
        queries: quantiles('approov_token_remaining_seconds', [0.1, 0.5, 0.9]),
      },
      {
        kind: 'timeseries',
        title: 'Clock skew',
        description:
          'By instance: expired tokens (clock ahead, or late clients) and tokens with more than 5 minutes left (clock behind).',
        unit: 'percentunit',
        width: 8,
        noValue: NO_TOKENS,
        alerts: ['ApproovClockAhead', 'ApproovClockBehind'],
        queries: [
          { expr: remainingShare('0'), legend: '{{instance}}: expired' },
          { expr: `1 - ${remainingShare('300')}`, legend: '{{instance}}: over 5 minutes' },
        ],
      },
      {
        kind: 'heatmap',
        title: 'Tokens by remaining lifetime',
        description: 'Distribution of the seconds left; below 0 the token had expired.',
        unit: 's',
        width: 8,
        noValue: NO_TOKENS,
        queries: [buckets('approov_token_remaining_seconds')],
      },
    ],
  },
  {
    title: 'Message signatures',
    panels: [
      {
        kind: 'timeseries',
        title: 'Failed signatures',
        description:
          'Requests per second that are unverified because of their message signature, by reason, in every mode.',
        unit: 'reqps',
        width: 10,
        isStacked: true,
        noValue: 'No signature failed',
        pages: ['Reasons'],
        alerts: ['ApproovSignaturesFailing'],
        queries: [
          {
            expr: `${checkRate('reason', 'reason=~"missing_message_signature|invalid_message_signature|message_signature_expired|missing_signed_components|content_digest_mismatch|message_replayed"')} > 0`,
            legend: '{{reason}}',
          },
        ],
      },
      {
        kind: 'timeseries',
        title: 'Replay store errors',
        description:
          'Signatures per second that could not be recorded. Under onError deny their requests get 503, under allow they pass without protection against replays.',
        unit: 'ops',
        width: 7,
        alerts: ['ApproovReplayStoreErrors'],
        queries: [
          {
            expr: `sum by (instance) (rate(approov_replay_store_errors_total{${CHOSEN}}[$__rate_interval]))`,
            legend: '{{instance}}',
          },
        ],
      },
      {
        kind: 'timeseries',
        title: 'Unchecked digests',
        description:
          'Signed requests per second that passed although their Content-Digest could not be checked, because Envoy sent no body. Expected only on routes that do not buffer bodies.',
        unit: 'reqps',
        width: 7,
        queries: [
          {
            expr: `sum by (instance) (rate(approov_message_digest_unchecked_total{${CHOSEN}}[$__rate_interval]))`,
            legend: '{{instance}}',
          },
        ],
      },
    ],
  },
  {
    title: 'Token cache',
    panels: [
      {
        kind: 'timeseries',
        title: 'Hit ratio',
        description:
          'Share of tokens whose signature was cached. Apps reuse a token until it expires, so it should be high.',
        unit: 'percentunit',
        width: 12,
        noValue: 'No lookups',
        queries: [
          {
            expr: `sum by (instance) (rate(approov_token_cache_lookups_total{${CHOSEN}, outcome="hit"}[$__rate_interval])) / (sum by (instance) (rate(approov_token_cache_lookups_total{${CHOSEN}}[$__rate_interval])) > 0)`,
            legend: '{{instance}}',
          },
        ],
      },
      {
        kind: 'timeseries',
        title: 'Lookups',
        description: 'Lookups per second. Each miss costs one signature verification.',
        unit: 'ops',
        width: 12,
        isStacked: true,
        colors: { hit: 'green', miss: 'orange' },
        noValue: 'No lookups',
        queries: [
          {
            expr: `sum by (outcome) (rate(approov_token_cache_lookups_total{${CHOSEN}}[$__rate_interval]))`,
            legend: '{{outcome}}',
          },
        ],
      },
    ],
  },
];
