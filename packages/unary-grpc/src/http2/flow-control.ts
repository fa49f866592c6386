/** Flow-control windows of a connection and of a stream (RFC 9113 §5.2, §6.9). */

/** §6.9.1: a window must not exceed this. */
export const MAX_WINDOW_BYTES = 2 ** 31 - 1;
/** §6.9.2: the window of a connection, and of a stream before any SETTINGS. */
export const INITIAL_WINDOW_BYTES = 65_535;

/** What we may send. Negative after the peer lowered SETTINGS_INITIAL_WINDOW_SIZE (§6.9.2). */
export interface SendWindow {
  sendable: number;
}

/** @returns whether the window stays within its limit. */
export function growSendWindow(window: SendWindow, increment: number): boolean {
  window.sendable += increment;
  return window.sendable <= MAX_WINDOW_BYTES;
}

/** What the peer may send. */
export interface ReceiveWindow {
  receivable: number;
  /** What has arrived and is not given back yet. */
  unreturned: number;
}

/** Bytes have arrived, padding included (§6.9.1). @returns whether the peer was allowed to send them. */
export function consume(window: ReceiveWindow, count: number): boolean {
  window.receivable -= count;
  return window.receivable >= 0;
}

/**
 * The peer may send as many bytes again. Windows are given back by halves, so that a WINDOW_UPDATE serves many frames.
 * @returns the increment of the WINDOW_UPDATE to send now, or 0.
 */
export function giveBack(window: ReceiveWindow, count: number, windowBytes: number): number {
  window.unreturned += count;
  if (window.unreturned * 2 < windowBytes) return 0;
  const increment = window.unreturned;
  window.unreturned = 0;
  window.receivable += increment;
  return increment;
}
