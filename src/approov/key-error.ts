/** The one error for key material that cannot be used: a secret, a public key or a private key. */
export class KeyError extends Error {
  override readonly name = 'KeyError';
}
