/** Builds the signature base (RFC 9421 §2.5) of a request, under each reading of its target. */
import { type Component, componentValue } from './component.ts';
import type { SignatureInput } from './signature-input.ts';
import type { SignedRequest } from './signed-request.ts';
import { TARGET_READING_NAMES, TARGET_READINGS, type TargetReadingName, targetOf } from './target.ts';

export interface SignatureBase {
  readonly reading: TargetReadingName;
  /** One character per byte. Together with the signature, it is as good as the request: never logged. */
  readonly text: string;
}

/** Each base that differs from those before it; none if the request does not have every component. */
export function* signatureBases(input: SignatureInput, request: SignedRequest): Generator<SignatureBase> {
  const target = targetOf(request);
  if (target === undefined) return;
  const seen = new Set<string>();
  for (const reading of readingsOf(request)) {
    const text = buildBase(input, { request, target, reading: TARGET_READINGS[reading] });
    if (text === undefined || seen.has(text)) continue;
    seen.add(text);
    yield { reading, text };
  }
}

/** The sender chooses the length, and each reading takes time proportional to it. */
const MAX_READ_LENGTH = 8192;

/** A longer target is read in one way only. */
function readingsOf({ path }: SignedRequest): readonly TargetReadingName[] {
  return path.length > MAX_READ_LENGTH ? TARGET_READING_NAMES.slice(0, 1) : TARGET_READING_NAMES;
}

function buildBase(
  { components, text }: SignatureInput,
  context: Parameters<typeof componentValue>[1],
): string | undefined {
  let base = '';
  for (const component of components) {
    const value = componentValue(component, context);
    if (value === undefined) return undefined;
    base += `${component.identifier}: ${value}\n`;
  }
  // As received: another spelling of the same parameters was not signed.
  return `${base}"@signature-params": ${text}`;
}

/** The covered components that the request does not have, in any reading. */
export function absentComponents({ components }: SignatureInput, request: SignedRequest): readonly string[] {
  const target = targetOf(request);
  const isPresent = (component: Component): boolean =>
    target !== undefined &&
    TARGET_READING_NAMES.some((name) => {
      const reading = TARGET_READINGS[name];
      return componentValue(component, { request, target, reading }) !== undefined;
    });
  return components.filter((component) => !isPresent(component)).map(({ identifier }) => identifier);
}
