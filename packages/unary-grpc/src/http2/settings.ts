/** SETTINGS: which values a peer may send, and what it may change (RFC 9113 §6.5). */
import { MAX_SETTINGS_ENTRIES } from '../limits.ts';
import type { Http2Error } from './error.ts';
import { MAX_WINDOW_BYTES } from './flow-control.ts';
import { readUint32 } from './frames.ts';
import { VIOLATION } from './violations.ts';

/** §6.5.2. */
export const SETTING = {
  HEADER_TABLE_SIZE: 0x1,
  ENABLE_PUSH: 0x2,
  MAX_CONCURRENT_STREAMS: 0x3,
  INITIAL_WINDOW_SIZE: 0x4,
  MAX_FRAME_SIZE: 0x5,
  MAX_HEADER_LIST_SIZE: 0x6,
} as const;

/** The settings of the peer that bind a server which never sends PUSH_PROMISE. */
export interface PeerSettings {
  /** The smallest ever sent: what an encoder that adds no entry must react to (RFC 7541 §4.2). */
  minHeaderTableBytes: number;
  initialWindowBytes: number;
  maxFrameBytes: number;
}

/** §6.5.2: the initial values. */
export function initialSettings(): PeerSettings {
  return { minHeaderTableBytes: 4096, initialWindowBytes: 65_535, maxFrameBytes: 16_384 };
}

/** The values that are not allowed are connection errors of these kinds. Other settings have no range. */
const RANGES: ReadonlyMap<number, readonly [min: number, max: number, error: Http2Error]> = new Map([
  [SETTING.ENABLE_PUSH, [0, 1, VIOLATION.enablePush]],
  [SETTING.INITIAL_WINDOW_SIZE, [0, MAX_WINDOW_BYTES, VIOLATION.initialWindow]],
  [SETTING.MAX_FRAME_SIZE, [16_384, 16_777_215, VIOLATION.maxFrameSize]],
]);

/** Applies the settings in their order (§6.5.3), up to the first that is wrong. */
export function applySettings(
  settings: PeerSettings,
  payload: Buffer,
  from: number,
  to: number,
): Http2Error | undefined {
  if ((to - from) % 6 !== 0) return VIOLATION.settingsSize;
  if (to - from > 6 * MAX_SETTINGS_ENTRIES) return VIOLATION.tooManySettings;
  for (let at = from; at < to; at += 6) {
    const id = ((payload[at] as number) << 8) | (payload[at + 1] as number);
    const value = readUint32(payload, at + 2);
    const range = RANGES.get(id);
    if (range !== undefined && (value < range[0] || value > range[1])) return range[2];
    if (id === SETTING.HEADER_TABLE_SIZE) {
      settings.minHeaderTableBytes = Math.min(settings.minHeaderTableBytes, value);
    }
    if (id === SETTING.INITIAL_WINDOW_SIZE) settings.initialWindowBytes = value;
    if (id === SETTING.MAX_FRAME_SIZE) settings.maxFrameBytes = value;
  }
  return undefined;
}
