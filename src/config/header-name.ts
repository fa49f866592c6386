/** Schema of names of request headers. */
import * as z from 'zod';
import { isResultHeader } from '../authz/result-header.ts';

/** RFC 9110 §5.6.2. */
export const TOKEN = /^[!#$%&'*+.^_`|~0-9A-Za-z-]+$/;

/** Lower case, as in HTTP/2. */
export const headerName = z
  .string()
  .regex(TOKEN, 'must be a header name')
  .toLowerCase()
  .refine((value) => value !== 'host', 'must not be host: Envoy sends that apart from the headers')
  .refine((value) => !isResultHeader(value), 'must not be a header that this service sets');
