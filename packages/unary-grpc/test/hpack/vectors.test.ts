/** Tests the decoder with stories of http2jp/hpack-test-case: each is a sequence of blocks that share a dynamic table. */
import { readdirSync, readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { HpackDecoder } from '../../src/hpack/decoder.ts';
import { decoded } from '../support/decoded.ts';

interface Story {
  readonly cases: readonly {
    readonly wire: string;
    readonly headers: readonly Record<string, string>[];
  }[];
}

const FOLDER = new URL('../vectors/hpack/', import.meta.url);
const STORIES = readdirSync(FOLDER).filter((name) => name.endsWith('.json'));

describe('blocks of other encoders', () => {
  it.each(STORIES)('%s is decoded exactly', (name) => {
    const story: Story = JSON.parse(readFileSync(new URL(name, FOLDER), 'utf8'));
    const decoder = new HpackDecoder();
    const seen = story.cases.map(({ wire }) => decoded(decoder, wire));
    expect(seen).toEqual(story.cases.map(({ headers }) => headers.flatMap((field) => Object.entries(field))));
    expect(seen.length).toBeGreaterThan(1);
  });

  it('all 27 test vectors are present', () => {
    expect(STORIES).toHaveLength(27);
  });
});
