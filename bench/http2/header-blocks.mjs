/** Encodes the headers of calls as Envoy does: the first of a connection fills HPACK's table, the next refer to it. */

/** RFC 7541 Appendix A has 61 entries, so the newest of the dynamic table is 62. */
const FIRST_DYNAMIC = 62;
const LITERAL_INDEXED = 0x40;
const LITERAL = 0x00;
const INDEXED = 0x80;
/** Dynamic table size update to 0 (RFC 7541 §6.3). */
const NO_TABLE = Buffer.from([0x20]);

/**
 * @typedef {object} HeaderBlocks
 * @property {Buffer} first of the first call
 * @property {Buffer} next of each further one
 */

/**
 * @param {readonly (readonly [string, string])[]} headers
 * @param {number} tableBytes the server's SETTINGS_HEADER_TABLE_SIZE
 * @returns {HeaderBlocks}
 */
export function encodeHeaders(headers, tableBytes) {
  const size = headers.reduce((total, [name, value]) => total + name.length + value.length + 32, 0);
  if (size > tableBytes) {
    const literals = Buffer.concat(headers.map((header) => literal(LITERAL, header)));
    return { first: Buffer.concat([NO_TABLE, literals]), next: literals };
  }
  return {
    first: Buffer.concat(headers.map((header) => literal(LITERAL_INDEXED, header))),
    // Each insertion moves the earlier ones up by one.
    next: Buffer.from(headers.map((_, index) => INDEXED | (FIRST_DYNAMIC + headers.length - 1 - index))),
  };
}

/**
 * @param {number} kind
 * @param {readonly [string, string]} header
 */
function literal(kind, [name, value]) {
  return Buffer.concat([Buffer.from([kind]), text(name), text(value)]);
}

/** @param {string} value shorter than 127, so that one byte is enough for its length */
function text(value) {
  if (value.length > 126)
    throw new RangeError(`too long for a header of the benchmark: ${value.length} bytes`);
  return Buffer.concat([Buffer.from([value.length]), Buffer.from(value)]);
}
