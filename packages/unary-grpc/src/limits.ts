/** The limits of a connection, each with its reason. */

/** SETTINGS_MAX_FRAME_SIZE: the smallest that RFC 9113 §6.5.2 allows, and its initial value. A check is smaller. */
export const MAX_FRAME_BYTES = 16_384;

/** Calls at a time. Envoy opens another connection for more. */
export const DEFAULT_MAX_CONCURRENT_STREAMS = 256;
/** Stream ids cannot be reused (§5.1.1). At three quarters of them the connection gets a GOAWAY. */
export const MAX_STREAM_ID = 0.75 * 2 ** 31;

/** The size of a header list as §6.5.2 counts it: 32 bytes for each field on top of its name and value. */
export const DEFAULT_MAX_HEADER_LIST_BYTES = 16_384;
/** Envoy's own limit on the number of request headers; a call of Envoy's has about 12. */
export const MAX_HEADER_FIELDS = 100;
/**
 * A header list above its limit costs the client its call; one this many times as large costs it the connection, since
 * a few KiB can name the fields of a dynamic table thousands of times (CVE-2016-6581, CVE-2026-49975).
 */
export const HEADER_LIST_EXCESS = 4;
/** A header block may be this much longer than the largest header list, though its encoding is usually shorter. */
export const SPARE_HEADER_BLOCK_BYTES = MAX_FRAME_BYTES;
/** CONTINUATION frames of a header block beyond those that its size needs (CVE-2023-45288, CVE-2024-27983). */
export const SPARE_CONTINUATIONS = 4;
/** SETTINGS_HEADER_TABLE_SIZE of our decoder: the initial value (§6.5.2). */
export const HEADER_TABLE_BYTES = 4096;

/** Entries of one SETTINGS frame (CVE-2019-9515). About ten settings are defined. */
export const MAX_SETTINGS_ENTRIES = 32;

/** A call's message, without its five-byte prefix. */
export const DEFAULT_MAX_MESSAGE_BYTES = 4 * 2 ** 20;
/** SETTINGS_INITIAL_WINDOW_SIZE is the size of the largest message, up to this. A larger one needs WINDOW_UPDATE. */
export const MAX_STREAM_WINDOW_BYTES = 2 ** 20;
/** A client may send as much before it has read our SETTINGS (§6.9.2). */
export const MIN_STREAM_WINDOW_BYTES = 65_535;
/** The window of the connection: what may arrive in one round trip. */
export const CONNECTION_WINDOW_BYTES = 2 ** 20;
/**
 * Bytes of incomplete messages of a connection. The call that exceeds it is refused, unless it is the only one that is
 * incomplete. Envoy sends a check in one go, so that few of them are.
 */
export const MAX_INCOMPLETE_BYTES = 16 * 2 ** 20;
/** The same of all connections of a server, as a client may open many. */
export const MAX_INCOMPLETE_BYTES_OF_SERVER = 64 * 2 ** 20;

/** `grpc-message` of a response, before it is percent-encoded. It must fit into one frame. */
export const MAX_STATUS_TEXT = 1024;

/** Streams that a connection remembers after their end, to know a late frame from a wrong one. */
export const REMEMBERED_STREAMS = 256;

/** A DATA frame below this costs far more CPU than its bytes are worth (CVE-2019-9518). */
export const TINY_DATA_BYTES = 64;
/** A client may write the prefix of a message, its bytes and the end of the stream in a frame each. */
export const FREE_DATA_FRAMES = 3;

/**
 * After a read of this size, other sockets have their turn: libuv reads a socket that has more up to 32 times in a row,
 * and 2 MiB can be 130,000 frames.
 */
export const LARGE_READ_BYTES = 32_768;

/** Timeouts in milliseconds. All are counted in ticks, so none of them is shorter because the process stalled. */
export const TICK_MS = 250;
/** A timer of Node with a longer delay fires immediately. */
export const MAX_DELAY_MS = 2 ** 31 - 1;
/** From accepting a connection to its preface and first SETTINGS, and from a header block's first frame to its last. */
export const PREFACE_TIMEOUT_MS = 5000;
/** §6.5.3: "a reasonable amount of time". */
export const SETTINGS_ACK_TIMEOUT_MS = 10_000;
/** From the headers of a call to the end of its message. */
export const MESSAGE_TIMEOUT_MS = 5000;
/** How long a peer may leave our responses unread, in its socket or by its flow-control window (CVE-2019-9517). */
export const STALLED_WRITE_TIMEOUT_MS = 10_000;
/** How long the peer may take to close after it has been sent everything, before the socket is destroyed (CVE-2022-27664). */
export const LINGER_MS = 1000;
/** How long the first GOAWAY of a shutdown waits for the PING that follows it. */
export const SHUTDOWN_PING_TIMEOUT_MS = 1000;
