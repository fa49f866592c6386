/** Turns a failed bind into an error that names the address. */
import { type ListenAddress, printableAddress } from '../config/address.ts';

/** A configured address that cannot be bound. */
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
    throw new ListenError(`cannot listen on ${printableAddress(address)}: ${code ?? message}`);
  }
}
