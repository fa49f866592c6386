/** Drops sections whose every line is commented out, which YAML reads as null. */
import { isRawObject, type RawObject } from './env.ts';

/** @param paths of optional sections, such as `listen.tls`; `*` stands for any name. */
export function dropEmptySections(content: RawObject, paths: readonly string[]): void {
  for (const path of paths) drop(content, path.split('.'));
}

function drop(object: RawObject, [field = '', ...rest]: readonly string[]): void {
  for (const name of field === '*' ? Object.keys(object) : [field]) {
    const value = object[name];
    if (rest.length > 0 && isRawObject(value)) drop(value, rest);
    else if (rest.length === 0 && value === null) delete object[name];
  }
}
