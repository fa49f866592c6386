/** Tests lists of the configuration file. */

export function isUnique(values: readonly string[]): boolean {
  return new Set(values).size === values.length;
}
