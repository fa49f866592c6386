/** Reads from the Dockerfile how the image starts the service, for those who measure it without an image. */
import { readFileSync } from 'node:fs';

const DOCKERFILE = new URL('../Dockerfile', import.meta.url);

/** The options of Node itself. @returns {readonly string[]} */
export function imageNodeOptions() {
  const [, entrypoint = '[]'] = /^ENTRYPOINT (\[.*\])$/m.exec(readFileSync(DOCKERFILE, 'utf8')) ?? [];
  return JSON.parse(entrypoint).filter((/** @type {string} */ word) => word.startsWith('--'));
}
