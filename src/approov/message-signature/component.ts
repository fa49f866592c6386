/** Reads component identifiers (RFC 9421 §2) and computes the values of components from a request. */
import type { Item } from 'structured-headers';
import { combineFieldValues } from './field-component.ts';
import { parameterValue } from './query-parameters.ts';
import type { SignedRequest } from './signed-request.ts';
import { sentPath, type Target, type TargetReading } from './target.ts';

export interface Component {
  readonly name: string;
  /** As written in the signature base. */
  readonly identifier: string;
  /** The `name` of a `@query-param`. */
  readonly queryParameter: string | undefined;
}

interface ComponentContext {
  readonly request: SignedRequest;
  readonly target: Target;
  readonly reading: TargetReading;
}

type Derive = (context: ComponentContext, component: Component) => string | undefined;

/** RFC 9421 §2.2, but for `@status`, which requests do not have. */
const DERIVED: ReadonlyMap<string, Derive> = new Map<string, Derive>([
  ['@method', ({ request }) => request.method],
  ['@target-uri', ({ target, reading }) => reading.targetUri(target)],
  ['@authority', ({ target, reading }) => reading.authority(target)],
  ['@scheme', ({ target }) => target.scheme],
  ['@request-target', ({ target }) => sentPath(target)],
  ['@path', ({ target, reading }) => reading.path(target)],
  ['@query', ({ target, reading }) => reading.query(target)],
  [
    '@query-param',
    ({ target, reading }, { queryParameter = '' }) =>
      parameterValue(target.queryParameters(), queryParameter, reading.hasDecodedParameters),
  ],
]);

/** A field name in lower case (RFC 9110 §5.1, RFC 9421 §2.1). */
const FIELD_NAME = /^[!#$%&'*+.^_`|~0-9a-z-]+$/;

/**
 * Reads an identifier of a covered component; `undefined` if it is not one that we support. Of the parameters, that is
 * only `name`, of `@query-param`: Approov uses no other.
 */
export function parseComponent([name, parameters]: Item): Component | undefined {
  if (typeof name !== 'string') return undefined;
  if (name === '@query-param') return parseQueryParameter(name, parameters);
  const isKnown = name.startsWith('@') ? DERIVED.has(name) : FIELD_NAME.test(name);
  if (!isKnown || parameters.size > 0) return undefined;
  return { name, identifier: `"${name}"`, queryParameter: undefined };
}

function parseQueryParameter(name: string, parameters: Item[1]): Component | undefined {
  const queryParameter = parameters.get('name');
  if (parameters.size !== 1 || typeof queryParameter !== 'string') return undefined;
  const quoted = queryParameter.replace(/["\\]/g, (character) => `\\${character}`);
  return { name, identifier: `"${name}";name="${quoted}"`, queryParameter };
}

/** One character per byte; `undefined` if the request has no such component under this reading. */
export function componentValue(component: Component, context: ComponentContext): string | undefined {
  const derive = DERIVED.get(component.name);
  const value =
    derive === undefined
      ? combineFieldValues(context.request.headerValues(component.name))
      : encodeUtf8(derive(context, component));
  // A line break would begin a component of the sender's choice.
  return value === undefined || /[\r\n]/.test(value) ? undefined : value;
}

function encodeUtf8(text: string | undefined): string | undefined {
  return text === undefined || !/[^ -~]/.test(text) ? text : Buffer.from(text).toString('latin1');
}
