/** SETTINGS: which values a peer may send, and what it may change (RFC 9113 §6.5). */
import { MAX_SETTINGS_ENTRIES } from '../limits.ts';
import { connectionError, type Http2Error } from './error.ts';
import { readUint32 } from './frames.ts';

/** §6.5.2. */
export const SETTING = {
  HEADER_TABLE_SIZE: 0x1,
  ENABLE_PUSH: 0x2,
  MAX_CONCURRENT_STREAMS: 0x3,
  INITIAL_WINDOW_SIZE: 0x4,
  MAX_FRAME_SIZE: 0x5,
  MAX_HEADER_LIST_SIZE: 0x6,
} as const;

/** The settings of the peer that bind a server which sends no dynamic table and no PUSH_PROMISE. */
export interface PeerSettings {
  initialWindowBytes: number;
  maxFrameBytes: number;
}

/** §6.5.2: the initial values. */
export function initialSettings(): PeerSettings {
  return { initialWindowBytes: 65_535, maxFrameBytes: 16_384 };
}

/** §6.9.1. */
const MAX_WINDOW_BYTES = 2 ** 31 - 1;

/** The values that are not allowed are connection errors of these kinds. Other settings have no range. */
const RANGES: ReadonlyMap<number, readonly [min: number, max: number, error: Http2Error]> = new Map([
  [SETTING.ENABLE_PUSH, [0, 1, connectionError('PROTOCOL_ERROR', 'SETTINGS_ENABLE_PUSH out of range')]],
  [
    SETTING.INITIAL_WINDOW_SIZE,
    [0, MAX_WINDOW_BYTES, connectionError('FLOW_CONTROL_ERROR', 'SETTINGS_INITIAL_WINDOW_SIZE out of range')],
  ],
  [
    SETTING.MAX_FRAME_SIZE,
    [16_384, 16_777_215, connectionError('PROTOCOL_ERROR', 'SETTINGS_MAX_FRAME_SIZE out of range')],
  ],
]);

const WRONG_SIZE = connectionError('FRAME_SIZE_ERROR', 'SETTINGS that is not a list of settings');
const TOO_MANY = connectionError('ENHANCE_YOUR_CALM', 'SETTINGS with too many settings');

/** Applies the settings in their order (§6.5.3), up to the first that is wrong. */
export function applySettings(
  settings: PeerSettings,
  payload: Buffer,
  from: number,
  to: number,
): Http2Error | undefined {
  if ((to - from) % 6 !== 0) return WRONG_SIZE;
  if (to - from > 6 * MAX_SETTINGS_ENTRIES) return TOO_MANY;
  for (let at = from; at < to; at += 6) {
    const id = ((payload[at] as number) << 8) | (payload[at + 1] as number);
    const value = readUint32(payload, at + 2);
    const range = RANGES.get(id);
    if (range !== undefined && (value < range[0] || value > range[1])) return range[2];
    if (id === SETTING.INITIAL_WINDOW_SIZE) settings.initialWindowBytes = value;
    if (id === SETTING.MAX_FRAME_SIZE) settings.maxFrameBytes = value;
  }
  return undefined;
}
