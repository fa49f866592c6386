/** Describes a failed connection in words, with the code that a search engine finds. */

const PROBLEMS: Readonly<Record<string, string>> = {
  ECONNREFUSED: 'connection refused',
  ECONNRESET: 'connection closed by peer',
  UND_ERR_SOCKET: 'connection closed by peer',
  EPIPE: 'connection closed by peer',
  EHOSTUNREACH: 'no route to the host',
  ENETUNREACH: 'no route to the network',
  ETIMEDOUT: 'connection timed out',
  UND_ERR_CONNECT_TIMEOUT: 'connection timed out',
  ENOTFOUND: 'no such host',
  EAI_AGAIN: 'cannot resolve the host',
  ENOENT: 'no such socket',
  EACCES: 'permission denied',
  EPROTO: 'the peer does not speak TLS, or uses an unsupported version',
  ERR_SSL_WRONG_VERSION_NUMBER: 'the peer does not speak TLS',
  ERR_TLS_CERT_ALTNAME_INVALID: 'the certificate is for another host',
  CERT_HAS_EXPIRED: 'the certificate has expired',
  CERT_NOT_YET_VALID: 'the certificate is not valid yet',
  DEPTH_ZERO_SELF_SIGNED_CERT: 'the certificate is self-signed',
  SELF_SIGNED_CERT_IN_CHAIN: 'the certificate is not from a trusted authority',
  UNABLE_TO_GET_ISSUER_CERT_LOCALLY: 'the certificate is not from a trusted authority',
  UNABLE_TO_VERIFY_LEAF_SIGNATURE: 'the certificate is not from a trusted authority',
};

export function describeConnectionError(error: Error): string {
  const { code, message } = innermostCause(error) as NodeJS.ErrnoException;
  if (code === undefined) return message;
  const problem = PROBLEMS[code];
  return problem === undefined ? code : `${problem} (${code})`;
}

/** HTTP libraries wrap the error of the connection in their own. */
export function innermostCause(error: Error): Error {
  return error.cause instanceof Error ? innermostCause(error.cause) : error;
}
