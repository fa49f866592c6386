/** Lists the headers that checks read under a policy table. */
import { HEADERS_READ } from './check-request.ts';
import { PARTIAL_BODY_HEADER, SIGNATURE_HEADERS } from './message-signature.ts';
import type { PolicyTable } from './policy.ts';

/** The headers that Envoy's `allowed_headers` must list, besides those that an app signs beyond the defaults of its SDK. */
export function headersReadUnder(table: PolicyTable): ReadonlySet<string> {
  const names = new Set<string>(Object.values(HEADERS_READ));
  for (const { tokenHeader, binding, messageSignature } of table.policies.values()) {
    names.add(tokenHeader);
    for (const header of binding?.headers ?? []) names.add(header);
    for (const header of messageSignature === null ? [] : SIGNATURE_HEADERS) names.add(header);
  }
  return names;
}

/** With the header that Envoy itself adds. */
export function headersDecodedUnder(table: PolicyTable): ReadonlySet<string> {
  const names = headersReadUnder(table);
  const hasSignatures = [...table.policies.values()].some(
    ({ messageSignature }) => messageSignature !== null,
  );
  return hasSignatures ? new Set([...names, PARTIAL_BODY_HEADER]) : names;
}
