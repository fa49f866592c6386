/** Defines the facts that each step of a check found, for logs and `explain`. */
import { type Algorithm, parseAlgorithm } from '../approov/algorithm.ts';
import { trimOws } from '../approov/field-value.ts';
import type { VerificationKey } from '../approov/keyset.ts';
import type { SignedRequest } from '../approov/message-signature/signed-request.ts';
import type { MessageSignatureResult } from '../approov/message-signature/verify-message-signature.ts';
import type { VerifiedToken } from '../approov/token.ts';
import { headerValues } from './check-request.ts';
import { devicePlace, policyInEffect } from './enforced-share.ts';
import { type MessageSignaturePolicy, signedRequestOf } from './message-signature.ts';
import { STEPS, type Step } from './reason.ts';
import { expectedAudience, type StepsResult } from './steps.ts';

interface KeyFacts {
  /** Of the token's header, as sent. */
  readonly alg: unknown;
  readonly kid: unknown;
  /** The key that verified the token; else those tried, or those that `kid` selects if none allows `alg`. */
  readonly keyIds: readonly string[];
  /** The algorithms that these keys allow; of a verified token, its own. */
  readonly algorithms: readonly Algorithm[];
  /** Those of `keyIds`; of a verified token, none: only the id of its key is kept. */
  readonly keys: readonly VerificationKey[];
}

/** Of the token, as sent; a claim may have any type. */
interface LifetimeFacts {
  readonly exp: unknown;
  readonly nbf: unknown;
  readonly nowSeconds: number;
  readonly clockToleranceSeconds: number;
}

interface ClaimFacts {
  readonly iss: unknown;
  readonly aud: unknown;
  /** `null`: any. */
  readonly expectedIssuer: readonly string[] | null;
  readonly expectedAudience: readonly string[] | null;
}

interface BindingFacts {
  /** Whether the token has a `pay` claim. */
  readonly hasPay: boolean;
  /** In configured order. Their values are never kept. */
  readonly headers: readonly {
    readonly name: string;
    readonly state: 'present' | 'absent' | 'blank' | 'repeated';
  }[];
}

interface ShareFacts {
  readonly enforcePercent: number;
  /** What stands for the device; `undefined`: nothing does. */
  readonly by: 'did' | 'address' | undefined;
  readonly isEnforced: boolean;
}

interface MessageSignatureFacts {
  readonly result: MessageSignatureResult;
  readonly policy: MessageSignaturePolicy;
  /** As the signatures are compared with it. */
  readonly request: SignedRequest;
  readonly replay: StepsResult['replay'];
}

const STEP_NAMES = Object.keys(STEPS) as readonly Step[];

/**
 * The facts of one check, computed when read: most checks have no reader, and pay nothing.
 * A step that was not reached has no facts.
 */
export class Facts {
  readonly #result: StepsResult | undefined;

  /** @param result `undefined`: no policy applied. */
  constructor(result?: StepsResult) {
    this.#result = result;
  }

  /** When the check was decided, in seconds since the epoch; `undefined` if no policy applied. */
  get nowSeconds(): number | undefined {
    return this.#result?.context.nowSeconds;
  }

  /** `undefined` also where the policy has one mode for all devices. */
  get share(): ShareFacts | undefined {
    const result = this.#result;
    if (result?.policy.enforcePercent === undefined) return undefined;
    return {
      enforcePercent: result.policy.enforcePercent,
      by: devicePlace(result)?.by,
      isEnforced: policyInEffect(result) === result.policy,
    };
  }

  get key(): KeyFacts | undefined {
    const { tokenResult, presentedToken } = this.#result ?? {};
    if (tokenResult === undefined) return undefined;
    if (tokenResult.kind === 'rejected') {
      const { facts } = tokenResult;
      return facts && { alg: facts.alg, kid: facts.kid, ...describeKeys(facts.keys) };
    }
    const { alg, kid } = presentedToken?.header ?? {};
    const algorithm = parseAlgorithm(alg);
    return {
      alg,
      kid,
      keyIds: [tokenResult.token.keyId],
      algorithms: algorithm === undefined ? [] : [algorithm],
      keys: [],
    };
  }

  get lifetime(): LifetimeFacts | undefined {
    return this.#after('lifetime', ({ claims }, { context, policy }) => ({
      exp: claims['exp'],
      nbf: claims['nbf'],
      nowSeconds: context.nowSeconds,
      clockToleranceSeconds: policy.clockToleranceSeconds,
    }));
  }

  /** `undefined` also where the policy expects no claim. */
  get claims(): ClaimFacts | undefined {
    return this.#after('claims', ({ claims }, { context, policy }) =>
      policy.issuer === null && policy.audience === null
        ? undefined
        : {
            iss: claims['iss'],
            aud: claims['aud'],
            expectedIssuer: policy.issuer,
            expectedAudience: expectedAudience(context, policy),
          },
    );
  }

  /** `undefined` also where the policy has no binding. */
  get binding(): BindingFacts | undefined {
    return this.#after('binding', ({ claims }, { context, policy }) =>
      policy.binding === null
        ? undefined
        : {
            hasPay: Object.hasOwn(claims, 'pay'),
            headers: policy.binding.headers.map((name) => ({
              name,
              state: headerState(headerValues(context.request, name)),
            })),
          },
    );
  }

  /** `undefined` also where the policy asks for no signatures. */
  get messageSignature(): MessageSignatureFacts | undefined {
    const { messageSignature: result, policy, context, replay } = this.#result ?? {};
    const asked = policy?.messageSignature ?? undefined;
    if (result === undefined || asked === undefined || context === undefined) return undefined;
    return { result, policy: asked, request: signedRequestOf(context.request, asked), replay };
  }

  /** The facts of a step after the signature, if it was reached. */
  #after<T>(step: Step, read: (token: VerifiedToken, result: StepsResult) => T | undefined): T | undefined {
    const result = this.#result;
    if (result?.tokenResult?.kind !== 'verified') return undefined;
    const isReached =
      result.step === undefined || STEP_NAMES.indexOf(result.step) >= STEP_NAMES.indexOf(step);
    return isReached ? read(result.tokenResult.token, result) : undefined;
  }
}

function describeKeys(keys: readonly VerificationKey[]): Pick<KeyFacts, 'keyIds' | 'algorithms' | 'keys'> {
  return {
    keyIds: keys.map(({ id }) => id),
    algorithms: [...new Set(keys.flatMap(({ algorithms }) => algorithms))],
    keys,
  };
}

function headerState(values: readonly Buffer[]): BindingFacts['headers'][number]['state'] {
  const [value] = values;
  if (value === undefined) return 'absent';
  if (values.length > 1) return 'repeated';
  return trimOws(value).length === 0 ? 'blank' : 'present';
}
