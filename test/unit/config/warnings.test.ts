/** Tests which valid configurations are warned about. */
import { expect, test } from 'vitest';
import { parseConfig } from '../../../src/config/parse.ts';
import { findWarnings } from '../../../src/config/warnings.ts';
import { SECRET } from '../../support/token.ts';

test.each([
  { byDefault: 'mode: off', route: 'mode: observe', isWarned: true },
  { byDefault: 'mode: observe', route: 'mode: limit', isWarned: true },
  { byDefault: 'mode: limit', route: 'mode: enforce', isWarned: true },
  { byDefault: 'mode: enforce', route: 'mode: limit', isWarned: false },
  { byDefault: 'mode: enforce', route: 'mode: enforce', isWarned: false },
  { byDefault: '', route: 'issuer: approov.io', isWarned: true },
  { byDefault: '', route: 'audience: host', isWarned: true },
  { byDefault: '', route: 'binding: {headers: [authorization]}', isWarned: true },
  {
    byDefault: 'binding: {headers: [authorization]}',
    route: 'binding: {headers: [authorization], when: required}',
    isWarned: true,
  },
  { byDefault: '', route: 'allowCorsPreflight: false', isWarned: true },
  { byDefault: 'issuer: approov.io', route: '', isWarned: false },
  { byDefault: '', route: 'mode: observe, issuer: approov.io', isWarned: false },
  { byDefault: '', route: 'mode: limit, issuer: approov.io', isWarned: true },
])(
  'a route with {$route} and a default policy with {$byDefault} warns: $isWarned',
  ({ byDefault, route, isWarned }) => {
    const { config, problems } = parseConfig(
      `policies: {default: {${byDefault}}, other: {${route}}}\nroutes: [{policy: default}, {policy: other}]`,
      { APPROOV_BASE64_SECRET: SECRET },
    );
    expect(problems).toEqual([]);
    expect(config && findWarnings(config).map(({ path }) => path)).toEqual(
      isWarned ? ['routes[1].policy'] : [],
    );
  },
);
