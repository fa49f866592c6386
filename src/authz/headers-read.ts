/** Lists the headers that checks read under a policy table. */
import { HEADERS_READ } from './check-request.ts';
import type { PolicyTable } from './policy.ts';

/** The headers that Envoy's `allowed_headers` must list. */
export function headersReadUnder(table: PolicyTable): ReadonlySet<string> {
  const names = new Set<string>(Object.values(HEADERS_READ));
  for (const { tokenHeader, binding } of table.policies.values()) {
    names.add(tokenHeader);
    for (const header of binding?.headers ?? []) names.add(header);
  }
  return names;
}
