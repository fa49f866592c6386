/** The answers of the peers in Node: the headers and metadata of the service. */

/** @param {string} name @param {string} value */
const overwrite = (name, value) => ({
  header: { key: name, value },
  append_action: 'OVERWRITE_IF_EXISTS_OR_ADD',
});

/** @param {Record<string, string>} entries */
const struct = (entries) => ({
  fields: Object.fromEntries(Object.entries(entries).map(([key, value]) => [key, { stringValue: value }])),
});

/** @param {{ readonly did?: unknown }} claims */
export function allowed(claims) {
  return {
    status: { code: 0 },
    ok_response: {
      headers: [overwrite('x-approov-verdict', 'verified'), overwrite('x-approov-action', 'allow')],
      headers_to_remove: ['reason', 'did', 'ip', 'arc', 'iss', 'aud', 'sub'].map(
        (name) => `x-approov-${name}`,
      ),
    },
    dynamic_metadata: struct({
      approov_verdict: 'verified',
      approov_action: 'allow',
      approov_reason: 'ok',
      approov_policy: 'default',
      approov_mode: 'enforce',
      approov_key_id: 'env',
      approov_did: String(claims.did ?? ''),
    }),
  };
}

export const DENIED = {
  status: { code: 16 },
  denied_response: {
    status: { code: 401 },
    headers: [
      overwrite('content-type', 'application/json'),
      overwrite('cache-control', 'no-store'),
      overwrite('www-authenticate', 'Approov'),
    ],
    body: '{}',
  },
  dynamic_metadata: struct({
    approov_verdict: 'unverified',
    approov_action: 'deny',
    approov_reason: 'invalid_token_signature',
    approov_policy: 'default',
    approov_mode: 'enforce',
  }),
};
