/** Turns a failed bind into an error that names the address. */
import { type ListenAddress, printableAddress } from '../config/address.ts';

/** A configured address that cannot be bound. */
export class ListenError extends Error {
  override readonly name = 'ListenError';
}

const PROBLEMS: Readonly<Record<string, string>> = {
  EADDRINUSE: 'another process or listener uses it',
  EADDRNOTAVAIL: 'this machine does not have the address',
  EACCES: 'permission denied',
  ENOENT: 'no such directory',
};

/**
 * @param listener the field of `listen`.
 * @throws {ListenError} in place of the system's error.
 */
export async function listenOrThrow(
  listener: 'grpc' | 'admin',
  address: ListenAddress,
  listen: (address: ListenAddress) => Promise<ListenAddress>,
): Promise<ListenAddress> {
  try {
    return await listen(address);
  } catch (error) {
    const { code = '', message } = error as NodeJS.ErrnoException;
    const problem = PROBLEMS[code];
    const variable = `APPROOV_${listener.toUpperCase()}_LISTEN`;
    throw new ListenError(
      `cannot listen on ${printableAddress(address)}: ${problem === undefined ? code || message : `${problem} (${code})`}; ` +
        `set listen.${listener} or ${variable}`,
    );
  }
}
