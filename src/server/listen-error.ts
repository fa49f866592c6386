/** Owns what is said of an address that cannot be listened on. */
import { formatAddress, type ListenAddress } from '../config/address.ts';

/** An address that cannot be listened on: the operator's to mend. */
export class ListenError extends Error {
  override readonly name = 'ListenError';
}

/** @throws {ListenError} in place of the system's error. */
export async function listenOrThrow(
  address: ListenAddress,
  listen: (address: ListenAddress) => Promise<ListenAddress>,
): Promise<ListenAddress> {
  try {
    return await listen(address);
  } catch (error) {
    const { code, message } = error as NodeJS.ErrnoException;
    throw new ListenError(`cannot listen on ${formatAddress(address)}: ${code ?? message}`);
  }
}
