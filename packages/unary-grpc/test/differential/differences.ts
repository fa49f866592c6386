/** Where grpc-js, on the HTTP/2 of Node, and python-hyper/h2 differ from unary-grpc, and why ours is right. */
import type { Scenario } from './scenario.ts';

export type OtherServer = 'grpc-js' | 'h2';

interface Difference {
  readonly server: OtherServer;
  /** Of the scenarios: their names or sections. All if omitted. */
  readonly where?: readonly string[];
  readonly ours: RegExp;
  readonly theirs: RegExp;
  readonly because: string;
}

const IS_RESET = /^1: reset/;
const BOTH_OK = /^1: OK hello(, 3: OK next)?$/;
const CONNECTION_ERROR = /^connection error/;

export const DIFFERENCES: readonly Difference[] = [
  {
    server: 'grpc-js',
    ours: CONNECTION_ERROR,
    theirs: /^connection error (INTERNAL|PROTOCOL)_ERROR$/,
    because: 'Node reports most errors under one code; §7 has one for each',
  },
  {
    server: 'grpc-js',
    where: ['§6.9', '§6.9.1', '§6.3'],
    ours: IS_RESET,
    theirs: CONNECTION_ERROR,
    because: '§6.3, §6.9 and §6.9.1 call it an error of the stream',
  },
  {
    server: 'grpc-js',
    where: ['§8.2.1'],
    ours: IS_RESET,
    theirs: BOTH_OK,
    because: 'Node ignores the field; §8.2.1: a request with it is malformed',
  },
  {
    server: 'grpc-js',
    where: [':authority and another Host'],
    ours: IS_RESET,
    theirs: BOTH_OK,
    because: '§8.3.1: such a request is malformed',
  },
  {
    server: 'grpc-js',
    where: ['§5.1'],
    ours: IS_RESET,
    theirs: CONNECTION_ERROR,
    because:
      '§5.1: on a half-closed stream, as long as it has not been answered, it is an error of the stream',
  },
  {
    server: 'grpc-js',
    where: ['GOAWAY with a call in flight'],
    ours: BOTH_OK,
    theirs: /^1: OK hello, closed$/,
    because:
      '§6.8 leaves it to the client to close. It may open further streams: its GOAWAY is about those of the server',
  },
  {
    server: 'grpc-js',
    where: [
      'an acknowledgement of SETTINGS that were not sent',
      'an acknowledgement of a PING that was not sent',
    ],
    ours: BOTH_OK,
    theirs: CONNECTION_ERROR,
    because: '§6.5.3 and §6.7 do not call it an error. A flood of them is limited',
  },
  {
    server: 'grpc-js',
    where: ['a stream id below the last one'],
    ours: CONNECTION_ERROR,
    theirs: /^5: OK five$/,
    because: '§5.1.1: an unexpected stream id is a connection error',
  },
  {
    server: 'grpc-js',
    where: ['INITIAL_WINDOW_SIZE that overflows an open window'],
    ours: CONNECTION_ERROR,
    theirs: IS_RESET,
    because: '§6.9.2: it is a connection error',
  },
  {
    server: 'grpc-js',
    where: [
      'a grpc-encoding of gzip',
      'a compressed message without grpc-encoding',
      'a compressed flag of 2',
    ],
    ours: /^1: status 1[23]/,
    theirs: BOTH_OK,
    because:
      'grpc-js decompresses, or ignores the flag; the gRPC specification wants UNIMPLEMENTED or INTERNAL',
  },
  {
    server: 'grpc-js',
    where: ['a message that is shorter than its prefix says', 'half a prefix'],
    ours: /^1: status 13/,
    theirs: /^1: status 12/,
    because: 'UNIMPLEMENTED says that no such method exists; INTERNAL is for a broken message',
  },
  {
    server: 'grpc-js',
    where: ['a GET request'],
    ours: /^1: HTTP 405/,
    theirs: BOTH_OK,
    because: 'gRPC over HTTP/2: the method is POST',
  },
  {
    server: 'grpc-js',
    where: ['PRIORITY on stream 0', 'PRIORITY that makes a stream depend on itself'],
    ours: CONNECTION_ERROR,
    theirs: /^nothing$/,
    because: '§6.3, and §5.3.1 of RFC 7540: connection errors. Node ignores the whole frame from 24 on',
  },
  {
    server: 'grpc-js',
    where: ['a content-length below the length of DATA'],
    ours: IS_RESET,
    theirs: CONNECTION_ERROR,
    because: '§8.1.1: a malformed request is an error of the stream, also in Node before 24',
  },
  {
    server: 'h2',
    ours: /COMPRESSION_ERROR$/,
    theirs: /^connection error PROTOCOL_ERROR$/,
    because: '§4.3: a decoding error has the code COMPRESSION_ERROR',
  },
  {
    server: 'h2',
    ours: IS_RESET,
    theirs: CONNECTION_ERROR,
    because: '§8.1.1: a malformed request is an error of the stream; so are those of §6.3 and §6.9',
  },
  {
    server: 'h2',
    where: ['a preface of another version', 'HTTP/1.1'],
    ours: CONNECTION_ERROR,
    theirs: /^closed$/,
    because: '§3.4: GOAWAY may be omitted there',
  },
  {
    server: 'h2',
    where: ['a call before the first SETTINGS'],
    ours: CONNECTION_ERROR,
    theirs: /^1: OK hello$/,
    because: '§3.4: the first frame is SETTINGS',
  },
  {
    server: 'h2',
    where: ['an acknowledgement as the first SETTINGS'],
    ours: CONNECTION_ERROR,
    theirs: /^nothing$/,
    because: '§3.4: the first frame is SETTINGS, which an acknowledgement is not',
  },
  {
    server: 'h2',
    where: ['an acknowledgement of SETTINGS with a payload'],
    ours: /FRAME_SIZE_ERROR$/,
    theirs: /PROTOCOL_ERROR$/,
    because: '§6.5: it has the code FRAME_SIZE_ERROR',
  },
  {
    server: 'h2',
    where: ['§5.1'],
    ours: IS_RESET,
    theirs: /^1: reset STREAM_CLOSED, closed$/,
    because: '§5.1: it is an error of the stream; h2 leaves it to its user to go on',
  },
  {
    server: 'h2',
    where: ['GOAWAY with a call in flight'],
    ours: BOTH_OK,
    theirs: CONNECTION_ERROR,
    because: '§6.8: streams that are open go on after GOAWAY',
  },
  {
    server: 'h2',
    where: ['a :path without a slash'],
    ours: IS_RESET,
    theirs: /^1: status 12/,
    because: '§8.3.1: a path begins with a slash',
  },
];

export function differenceOf(
  server: OtherServer,
  { name, section, outcome }: Scenario,
  theirs: string,
): Difference | undefined {
  return DIFFERENCES.find(
    (each) =>
      each.server === server &&
      (each.where === undefined || each.where.includes(name) || each.where.includes(section)) &&
      each.ours.test(outcome) &&
      each.theirs.test(theirs),
  );
}
