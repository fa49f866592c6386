/** The reasons for which a header block is not valid (RFC 7541). Each is a connection error COMPRESSION_ERROR (RFC 9113 §4.3). */

export const HPACK_ERRORS = {
  'block-truncated': 'the header block ends inside a field',
  'integer-too-large': 'an integer has more than four continuation bytes (RFC 7541 §5.1)',
  'huffman-eos': 'a Huffman string contains the EOS symbol (RFC 7541 §5.2)',
  'huffman-padding': 'a Huffman string is not padded with at most seven ones (RFC 7541 §5.2)',
  'index-zero': 'a field has the index 0 (RFC 7541 §6.1)',
  'index-out-of-range': 'an index is beyond the end of the dynamic table (RFC 7541 §2.3.3)',
  'size-update-too-large': 'a dynamic table size update exceeds the announced limit (RFC 7541 §6.3)',
  'size-update-misplaced': 'a dynamic table size update follows a field (RFC 7541 §4.2)',
  'size-updates-too-many':
    'a header block starts with more than two dynamic table size updates (RFC 7541 §4.2)',
} as const;

export type HpackError = keyof typeof HPACK_ERRORS;
