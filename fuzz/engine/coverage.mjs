/** Counts which branches of the code under test an input takes, and whether it takes one in a new way. */

/** A counter for each branch and function of an instrumented module; far more than there are. */
const MAX_COUNTERS = 65_536;
export const hits = new Uint8Array(MAX_COUNTERS);
const words = new Uint32Array(hits.buffer);
/** Of each counter, the sizes of its value that were seen, as bits. */
const seen = new Uint8Array(MAX_COUNTERS);

/** The sizes of a value: 1, 2, 3, 4–7, 8–15, 16–31, 32–127, more. An input that repeats a loop more often is new. */
const SIZE = Uint8Array.from({ length: 256 }, (_, count) => {
  const size = [1, 2, 3, 4, 8, 16, 32, 128].findLastIndex((least) => count >= least);
  return size < 0 ? 0 : 1 << size;
});

/** @type {{ file: string, base: number, branches: string[] }[]} */
const modules = [];
let used = 0;

/**
 * Called by an instrumented module. Its first counters are its branches.
 * @param {string} file @param {string[]} branches where each is @param {number} functions
 */
function register(file, branches, functions) {
  const base = used;
  used += branches.length + functions;
  if (used > MAX_COUNTERS) throw new Error('too many counters');
  modules.push({ file, base, branches });
  return base;
}

Object.assign(globalThis, { __fuzz: { hits, register } });

export function clearHits() {
  hits.fill(0, 0, used);
}

/** Notes what the last input did; whether any of it is new. */
export function addHits() {
  let isNew = false;
  for (let word = 0; word < used / 4; word++) {
    if (words[word] === 0) continue;
    for (let at = word * 4; at < word * 4 + 4; at++) {
      const size = SIZE[hits[at] ?? 0] ?? 0;
      if ((size & ~(seen[at] ?? 0)) !== 0) {
        seen[at] = (seen[at] ?? 0) | size;
        isNew = true;
      }
    }
  }
  return isNew;
}

/** The counters that the last input moved. */
export function hitCounters() {
  return [...hits.subarray(0, used).keys()].filter((at) => hits[at] !== 0);
}

/** The branches of the modules whose path starts with one of `covers`. @param {readonly string[]} covers */
export function branchCoverage(covers) {
  const own = modules.filter(({ file }) => covers.some((prefix) => file.startsWith(prefix)));
  const all = own.flatMap(({ file, base, branches }) =>
    branches.map((place, index) => ({ place: `${file}:${place}`, isSeen: seen[base + index] !== 0 })),
  );
  return { total: all.length, missed: all.filter(({ isSeen }) => !isSeen).map(({ place }) => place) };
}
