/** Defines the request whose message signatures are verified, as the client sent it. */

export interface SignedRequest {
  readonly method: string;
  /** As the client saw it: `https`, though TLS may end at a proxy. */
  readonly scheme: string;
  /** Host and port as the client sent them; the port is optional. */
  readonly authority: string;
  /** Neither decoded nor normalised, with its query. */
  readonly path: string;
  readonly body: RequestBody;
  /**
   * Each occurrence of a header: raw bytes. None if it is absent.
   * @param name in lower case.
   */
  headerValues(name: string): readonly Buffer[];
}

/** `unseen`: there is no body, or it was not passed on to us. */
export type RequestBody =
  | { readonly kind: 'unseen' }
  | { readonly kind: 'truncated' }
  | { readonly kind: 'complete'; readonly bytes: Buffer };

/** The part of a path before `?`. */
export function pathWithoutQuery(path: string): string {
  const mark = path.indexOf('?');
  return mark === -1 ? path : path.slice(0, mark);
}

/** The part of a path after `?`; `undefined` if it has none. */
export function queryOf(path: string): string | undefined {
  const mark = path.indexOf('?');
  return mark === -1 ? undefined : path.slice(mark + 1);
}
