/** The fields of a policy for which the configuration says nothing, besides its name. */
export const DEFAULT_POLICY = {
  mode: 'enforce',
  tokenHeader: 'approov-token',
  tokenPrefix: '',
  binding: null,
  issuer: null,
  audience: null,
  clockToleranceSeconds: 0,
  allowCorsPreflight: true,
  forwardToken: true,
  forwardClaims: [],
  messageSignature: null,
} as const;
