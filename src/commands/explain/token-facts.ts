/** Gathers the facts of step token: the header that was read, and what is in it. */
import { CompactToken } from '../../approov/compact-token.ts';
import { trimOws } from '../../approov/field-value.ts';
import type { ReportedSdkStatus } from '../../approov/sdk-status.ts';
import { SDK_STATUS_MEANINGS } from '../../approov/sdk-status-meanings.ts';
import { type CheckRequest, headerValues } from '../../authz/check-request.ts';
import type { Decision } from '../../authz/decide.ts';
import type { Policy } from '../../authz/policy.ts';
import { foreignMarks } from './foreign-token.ts';
import { analyzeForm, type TokenForm } from './token-form.ts';

export interface TokenFacts {
  readonly header: string;
  readonly prefix: string;
  readonly state: 'token' | 'absent' | 'empty' | 'status_word' | 'several' | 'json';
  readonly occurrences: number;
  readonly token: TokenForm | null;
  /** From this header, or from Approov-Status. */
  readonly sdk_status: {
    readonly word: ReportedSdkStatus;
    readonly meaning: string;
    readonly fix_by: string;
  } | null;
  /** Where there is no token: other headers of the request that may have one. */
  readonly found_in: readonly string[];
}

export function tokenFacts(decision: Decision, request: CheckRequest, policy: Policy): TokenFacts {
  const { presentedToken, sdkStatus, reason } = decision;
  const values = headerValues(request, policy.tokenHeader);
  return {
    header: policy.tokenHeader,
    prefix: policy.tokenPrefix,
    state: presentedToken !== undefined ? 'token' : stateWithout(reason, values, policy.tokenPrefix),
    occurrences: values.length,
    token: presentedToken === undefined ? null : analyzeForm(presentedToken),
    sdk_status:
      sdkStatus === undefined
        ? null
        : {
            word: sdkStatus,
            meaning: SDK_STATUS_MEANINGS[sdkStatus].meaning,
            fix_by: SDK_STATUS_MEANINGS[sdkStatus].fixBy,
          },
    found_in: presentedToken === undefined ? headersWithToken(request, policy.tokenHeader) : [],
  };
}

function stateWithout(
  reason: Decision['reason'],
  values: readonly Buffer[],
  prefix: string,
): Exclude<TokenFacts['state'], 'token'> {
  const [value, ...others] = values;
  if (value === undefined) return 'absent';
  if (reason === 'duplicate_approov_token') {
    // The commas of its members look like those that join two tokens.
    return others.length === 0 && trimOws(value).toString('latin1').startsWith('{') ? 'json' : 'several';
  }
  const text = trimOws(value).toString('latin1').toLowerCase();
  return text === '' || text === prefix.trimEnd() ? 'empty' : 'status_word';
}

function headersWithToken(request: CheckRequest, except: string): readonly string[] {
  return [...request.allHeaders()].flatMap(([name, values]) =>
    name !== except && values.some(hasToken) ? [name] : [],
  );
}

function hasToken(value: Buffer): boolean {
  const text = trimOws(value)
    .toString('latin1')
    .replace(/^bearer +/i, '');
  const token = new CompactToken(text);
  return token.parsed !== undefined && foreignMarks(token).length === 0;
}
