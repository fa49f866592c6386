/** Tests the marks by which replays are recognised. */
import { describe, expect, it } from 'vitest';
import { replayMark, type SignatureMark } from '../../../../src/approov/message-signature/replay-mark.ts';
import {
  byteSequence,
  type Circumstances,
  CREATED,
  joinSignatures,
  KEYS,
  LINES,
  MSKID,
  OPTIONS,
  signLines,
  verifyRequest,
} from '../../../support/message-signature.ts';
import { signedRequest } from '../../../support/signed-request.ts';

type SignatureHeaders = ReturnType<typeof signLines>;

function markOf(
  headers: SignatureHeaders,
  { options = {}, ...circumstances }: Circumstances = {},
): SignatureMark {
  const request = signedRequest({ headers: { 'approov-token': 'token', ...headers } });
  const result = verifyRequest(request, { options, ...circumstances });
  if (result.kind !== 'verified') throw new Error(result.kind);
  return replayMark(result.signatures[0], { ...OPTIONS, ...options });
}

const ORDER = 0xffffffff00000000ffffffffffffffffbce6faada7179e84f3b9cac2fc632551n;

/** The same signature as (r, n − s). */
function mirror(raw: Buffer): Buffer {
  const s = (ORDER - BigInt(`0x${raw.toString('hex', 32)}`)).toString(16).padStart(64, '0');
  return Buffer.concat([raw.subarray(0, 32), Buffer.from(s, 'hex')]);
}

describe('the mark of a signature', () => {
  it('is the same for each form of the same signature', () => {
    let raw = Buffer.alloc(0);
    const headers = signLines({
      lines: LINES,
      encode: (bytes) => {
        raw = Buffer.from(bytes);
        return byteSequence(bytes);
      },
    });
    const mark = markOf(headers);
    expect(mark.key).toMatch(/^[\w-]{43}$/);
    for (const text of [
      byteSequence(mirror(raw)),
      `"${raw.toString('base64')}"`,
      `:${raw.toString('base64').replace('==', '')}:`,
    ]) {
      expect(markOf({ ...headers, signature: `install=${text}` })).toEqual(mark);
    }
  });

  it('is another for another signature of the same request', () => {
    expect(markOf(signLines({ lines: LINES })).key).not.toBe(markOf(signLines({ lines: LINES })).key);
  });

  it('is that of the install signature where there is one, else that of the account', () => {
    const install = signLines({ lines: LINES });
    const account = signLines({ label: 'account', lines: LINES });
    const both = { account: 'required' } as const;
    expect(markOf(joinSignatures(account, install), { options: both })).toEqual(markOf(install));
    const alone = { install: 'off', account: 'required' } as const;
    expect(markOf(joinSignatures(account, install), { options: alone })).toEqual(
      markOf(account, { options: alone }),
    );
  });

  it('is another for another key, even if that makes the same signature', () => {
    const keys = { ...KEYS, accountKey: () => KEYS.accountKey(MSKID) };
    const headers = signLines({ label: 'account', lines: LINES });
    const options = { install: 'off', account: 'required' } as const;
    const [one, other] = ['a', 'b'].map((mskid) => markOf(headers, { keys, options, claims: { mskid } }).key);
    expect(one).not.toBe(other);
  });

  it.each([
    [`;created=${CREATED}`, CREATED + 360],
    [`;created=${CREATED};expires=${CREATED + 15}`, CREATED + 75],
    [`;created=${CREATED};expires=${CREATED + 10_000}`, CREATED + 360],
  ])('with %s is kept until %d, when the signature is not accepted any more', (parameters, until) => {
    const headers = signLines({ lines: LINES, parameters });
    const request = signedRequest({ headers: { 'approov-token': 'token', ...headers } });
    expect(markOf(headers).keepUntilSeconds).toBe(until);
    expect(verifyRequest(request, { now: until - 0.001 }).kind).toBe('verified');
    expect(verifyRequest(request, { now: until }).kind).toBe('failed');
  });
});
