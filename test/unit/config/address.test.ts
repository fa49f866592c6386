/** Tests parsing and formatting of listen addresses. */
import { describe, expect, it } from 'vitest';
import { formatAddress, parseAddress } from '../../../src/config/address.ts';

describe('parseAddress', () => {
  it.each([
    { text: '0.0.0.0:9001', expected: { kind: 'tcp', host: '0.0.0.0', port: 9001 } },
    { text: 'localhost:1', expected: { kind: 'tcp', host: 'localhost', port: 1 } },
    {
      text: 'my-host_1.example.com:65535',
      expected: { kind: 'tcp', host: 'my-host_1.example.com', port: 65_535 },
    },
    { text: '127.0.0.1:0', expected: { kind: 'tcp', host: '127.0.0.1', port: 0 } },
    { text: '[::]:9001', expected: { kind: 'tcp', host: '::', port: 9001 } },
    { text: '[2001:DB8::1]:9001', expected: { kind: 'tcp', host: '2001:DB8::1', port: 9001 } },
    { text: '[::ffff:192.0.2.1]:9001', expected: { kind: 'tcp', host: '::ffff:192.0.2.1', port: 9001 } },
    { text: 'unix:/run/approov/authz.sock', expected: { kind: 'unix', path: '/run/approov/authz.sock' } },
    { text: 'unix:/run/a b:c.sock', expected: { kind: 'unix', path: '/run/a b:c.sock' } },
  ])('reads $text', ({ text, expected }) => {
    expect(parseAddress(text)).toEqual(expected);
    expect(formatAddress(expected as NonNullable<ReturnType<typeof parseAddress>>)).toBe(text);
  });

  it.each([
    { name: 'nothing', text: '' },
    { name: 'a port alone', text: '9001' },
    { name: 'no host', text: ':9001' },
    { name: 'no port', text: 'localhost' },
    { name: 'an empty port', text: 'localhost:' },
    { name: 'a port too great', text: 'localhost:65536' },
    { name: 'a port of too many digits', text: 'localhost:000080' },
    { name: 'a negative port', text: 'localhost:-1' },
    { name: 'a port by name', text: 'localhost:http' },
    { name: 'IPv6 without brackets', text: '::1:9001' },
    { name: 'brackets never closed', text: '[::1:9001' },
    { name: 'brackets around nothing', text: '[]:9001' },
    { name: 'brackets without a port', text: '[::1]' },
    { name: 'a URL', text: 'http://localhost:9001' },
    { name: 'a star', text: '*:9001' },
    { name: 'white space', text: ' localhost:9001' },
    { name: 'a line end', text: 'localhost:9001\n' },
    { name: 'a socket without path', text: 'unix:' },
    { name: 'a socket with a relative path', text: 'unix:run/authz.sock' },
    { name: 'a socket in another case', text: 'UNIX:/run/authz.sock' },
  ])('refuses $name', ({ text }) => {
    expect(parseAddress(text)).toBeUndefined();
  });
});
