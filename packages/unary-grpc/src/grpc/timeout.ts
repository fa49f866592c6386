/** `grpc-timeout` (gRPC over HTTP/2: "Timeout → TimeoutValue TimeoutUnit"). */

/** In milliseconds. */
const UNITS: Readonly<Record<string, number>> = { H: 3_600_000, M: 60_000, S: 1000, m: 1, u: 1e-3, n: 1e-6 };

const MAX_DIGITS = 8;

/** @returns milliseconds, or `undefined` if the value is not a timeout. */
export function parseTimeout(value: string): number | undefined {
  const digits = value.length - 1;
  if (digits < 1 || digits > MAX_DIGITS) return undefined;
  let number = 0;
  for (let index = 0; index < digits; index++) {
    const digit = value.charCodeAt(index) - 0x30;
    if (digit < 0 || digit > 9) return undefined;
    number = number * 10 + digit;
  }
  const unit = UNITS[value.charAt(digits)];
  return unit === undefined ? undefined : number * unit;
}
