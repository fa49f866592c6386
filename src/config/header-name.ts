/** Defines which names of request headers a configuration may give. */
import * as z from 'zod';
import { isResultHeader } from '../authz/result-header.ts';

/** A token (RFC 9110 §5.1), whose case says nothing. */
export const TOKEN = /^[!#$%&'*+.^_`|~0-9A-Za-z-]+$/;

/** Read as lower case, as on HTTP/2. */
export const headerName = z
  .string()
  .regex(TOKEN, 'must be a header name')
  .toLowerCase()
  .refine((value) => value !== 'host', 'must not be host: Envoy sends that apart from the headers')
  .refine((value) => !isResultHeader(value), 'must not be a header that this service sets');
