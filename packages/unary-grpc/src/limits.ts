/** The limits of a connection, each with its reason. */

/** SETTINGS_MAX_FRAME_SIZE: the smallest that RFC 9113 §6.5.2 allows. A check is smaller. */
export const MAX_FRAME_BYTES = 16_384;
