/** Finds values that only one of several keys may have. */
import type { Problem } from './config.ts';
import { isRawObject, type RawObject, rawList } from './env.ts';

/**
 * In the raw content, so that schema errors do not hide it.
 * @param fields lists of mappings, such as `keys`.
 * @param member of each mapping, such as `id`.
 * @param reserved values that are taken from the start, and by what.
 */
export function takenMembers(
  content: RawObject,
  fields: readonly string[],
  member: string,
  reserved: ReadonlyMap<string, string> = new Map(),
): readonly Problem[] {
  const owners = new Map(reserved);
  const problems: Problem[] = [];
  for (const field of fields) {
    rawList(content, field).forEach((item, index) => {
      const value = isRawObject(item) ? item[member] : undefined;
      if (typeof value !== 'string') return;
      const owner = owners.get(value);
      if (owner === undefined) owners.set(value, `${field}[${index}]`);
      else problems.push({ path: `${field}[${index}].${member}`, message: `is taken by ${owner}` });
    });
  }
  return problems;
}
