/** Recognizes a JWT that was made for something else, such as a user's login. */
import type { CompactToken } from '../../approov/compact-token.ts';
import { quote } from './values.ts';

/** Claims that Approov sets, and others hardly ever. */
const APPROOV_CLAIMS = ['did', 'arc', 'ip', 'pay', 'ipk', 'mskid', 'anno', 'embed'];

/** Claims of OpenID Connect, OAuth 2.0 and the common identity providers. */
const LOGIN_CLAIMS = [
  'email',
  'name',
  'preferred_username',
  'scope',
  'scp',
  'roles',
  'azp',
  'client_id',
  'nonce',
  'auth_time',
  'at_hash',
  'sid',
  'token_use',
];

/** What shows that a token is not Approov's, in words; empty if nothing does. Nothing in it is verified. */
export function foreignMarks({ header, claims }: CompactToken): readonly string[] {
  if (claims === undefined || APPROOV_CLAIMS.some((name) => Object.hasOwn(claims, name))) return [];
  const iss = claims['iss'];
  const isLoginIssuer = typeof iss === 'string' && iss.startsWith('https://');
  return [
    ...(header?.['typ'] === 'at+jwt' ? ['typ "at+jwt"'] : []),
    ...(isLoginIssuer ? [`iss ${quote(iss)}`] : []),
    ...LOGIN_CLAIMS.filter((name) => Object.hasOwn(claims, name)),
  ];
}
