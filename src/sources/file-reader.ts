/** Reads the files of one poll, each once, so that everything made of a file agrees. */
import { createHash } from 'node:crypto';
import type { StableFiles } from './stable-files.ts';
import { type FileText, linkTarget, readTextFile } from './text-file.ts';

interface FileReading {
  readonly text: FileText;
  /** It differs from what was last used, and may be half-written. */
  readonly isIncomplete: boolean;
}

interface FileReaderOptions {
  readonly files: StableFiles;
  /** The digest of each file as it was last used. */
  readonly usedDigests: ReadonlyMap<string, string>;
  /** The operator says that every file is complete, or nothing is in use yet. */
  readonly areComplete: boolean;
}

export class FileReader {
  readonly #options: FileReaderOptions;
  readonly #readings = new Map<string, Promise<FileReading>>();
  readonly #digests = new Map<string, string>();

  constructor(options: FileReaderOptions) {
    this.#options = options;
  }

  read(file: string): Promise<FileReading> {
    const reading = this.#readings.get(file) ?? this.#readNow(file);
    this.#readings.set(file, reading);
    return reading;
  }

  async #readNow(file: string): Promise<FileReading> {
    const { files, usedDigests, areComplete } = this.#options;
    const target = await linkTarget(file);
    const text = await readTextFile(file);
    const digest = digestOf(text);
    const isStable = files.isStable(file, { digest, target });
    const used = usedDigests.get(file);
    const isIncomplete = !(areComplete || isStable || digest === used);
    if (!isIncomplete) this.#digests.set(file, digest);
    else if (used !== undefined) this.#digests.set(file, used);
    return { text, isIncomplete };
  }

  /**
   * The files in use whose content changed. By content, not by time stamps: a symlink swap, a rename and an edit in place
   * all look the same then.
   */
  async changedFiles(): Promise<readonly string[]> {
    const changed: string[] = [];
    for (const [file, digest] of this.#options.usedDigests) {
      if (digestOf((await this.read(file)).text) !== digest) changed.push(file);
    }
    return changed;
  }

  /** The digest of each file that was read; of an incomplete one, that of its last use. */
  get digests(): ReadonlyMap<string, string> {
    return this.#digests;
  }
}

export function digestOf(...texts: readonly (FileText | undefined)[]): string {
  return createHash('sha256').update(JSON.stringify(texts)).digest('base64');
}
