/** Puts into sentences which signatures the request carries, and what was signed. */
import { SIGNATURE_KINDS } from '../../approov/message-signature/signature-kind.ts';
import { TARGET_READINGS } from '../../approov/message-signature/target.ts';
import { formatDuration } from '../../rollout/words.ts';
import type { MessageSignatureFacts } from './message-signature-facts.ts';
import { isoTime } from './times.ts';
import { list, quote } from './values.ts';

type Signature = MessageSignatureFacts['signatures'][number];

export function messageSignatureSentences(facts: MessageSignatureFacts): readonly string[] {
  if (facts.install === null) {
    const hint = facts.has_ipk ? '; the token has `ipk`, so the app can sign' : '';
    return [`not checked: the policy has no \`messageSignature\`${hint}`];
  }
  if (!facts.required) return [`no signature is required: ${reasonsFor(facts).join('; ')}`];
  return [
    ...problemSentences(facts),
    ...facts.signatures.flatMap((signature) => signatureSentences(signature, facts)),
    ...digestSentences(facts),
    ...(facts.reason === null && facts.replay !== 'off'
      ? ['only the running service can tell whether this is a replay']
      : []),
  ];
}

function reasonsFor({ install, account, has_ipk, mskid }: MessageSignatureFacts): readonly string[] {
  return [
    requirementText('install', install, has_ipk, 'ipk'),
    requirementText('account', account, mskid !== undefined, 'mskid'),
  ];
}

function requirementText(label: string, setting: string | null, hasClaim: boolean, claim: string): string {
  if (setting === 'off' || setting === 'required') return `${label} is ${setting}`;
  return `${label} is ${setting}, and the token has ${hasClaim ? '' : 'no '}\`${claim}\``;
}

function problemSentences(facts: MessageSignatureFacts): readonly string[] {
  const { reason, label, problem, problem_means, missing_components, body } = facts;
  switch (reason) {
    case null:
      return [];
    case 'missing_message_signature':
      return [
        `there is no signature labelled ${label}, which is required: ${reasonsFor(facts).join('; ')}`,
        "give the headers with --header 'Signature-Input: …' and --header 'Signature: …'",
      ];
    case 'missing_signed_components':
      return missing_components.length === 0
        ? ['the body must be covered, by `content-digest`']
        : [
            `the ${label} signature does not cover ${list(missing_components, 'and')}, which the policy requires`,
          ];
    case 'content_digest_mismatch':
      return [bodyProblem(body)];
    default:
      return [`${label === null ? '' : `${label}: `}${problem_means} (${problem})`];
  }
}

function bodyProblem(body: MessageSignatureFacts['body']): string {
  if (body === 'truncated') return 'Envoy sent only a part of the body (`max_request_bytes`)';
  return body === 'unseen'
    ? 'there is no body to compare with `Content-Digest`: give it with --body-file'
    : 'the body does not have the digest in `Content-Digest`';
}

function signatureSentences(signature: Signature, facts: MessageSignatureFacts): readonly string[] {
  const { label, verified, components, absent_components } = signature;
  return [
    verified ? `${label}: verified with ${keyText(signature)}` : `${label}: not verified`,
    `covers ${components.join(' ')}`,
    ...(absent_components.length === 0
      ? []
      : [`the request has no ${list(absent_components, 'and')}: give ${missingWith(absent_components)}`]),
    ...timeSentences(signature, facts),
    ...baseSentences(signature),
  ];
}

/** The body brings its own headers. */
function missingWith(components: readonly string[]): string {
  const isOfBody = components.every((name) => /content-(length|digest)/.test(name));
  return isOfBody ? 'the body with --body-file, or the header with --header' : 'it with --header';
}

function keyText({ label, key, algorithm }: Signature): string {
  const name = key === SIGNATURE_KINDS[label].claim ? `the key in \`${key}\`` : `key ${key}`;
  return `${name}, ${algorithm}`;
}

function timeSentences({ created, expires }: Signature, facts: MessageSignatureFacts): readonly string[] {
  const { now, clock_tolerance_seconds, max_age_seconds, reason } = facts;
  return [
    `created ${isoTime(created)}: ${distance(created - now)}${
      expires === null ? '' : `; expires ${isoTime(expires)}: ${distance(expires - now)}`
    }`,
    ...(reason === 'message_signature_expired'
      ? [
          `now ${isoTime(now)}; maxAgeSeconds is ${max_age_seconds}, clockToleranceSeconds ${clock_tolerance_seconds}`,
        ]
      : []),
  ];
}

function distance(seconds: number): string {
  return seconds > 0 ? `in ${formatDuration(seconds)}` : `${formatDuration(-seconds)} ago`;
}

function baseSentences(signature: Signature): readonly string[] {
  const { base, base_digest, reading_means, also_tried } = signature;
  if (base === null || reading_means === null) return [];
  return [
    `URL read ${reading_means}`,
    ...(also_tried.length === 0 || signature.verified
      ? []
      : [
          `also tried, and not verified either: ${list(also_tried.map((name) => TARGET_READINGS[name].because).map(quote), 'and')}`,
        ]),
    'signature base:',
    ...base.split('\n'),
    `its digest: sha-256=:${base_digest}:${digestText(signature)}`,
  ];
}

const DIGEST_TEXTS: Readonly<Record<Signature['sent_base_digest'], string>> = {
  absent: '; the app sends its own in `Signature-Base-Digest` if it runs in debug mode',
  malformed: '; `Signature-Base-Digest` of the app is malformed',
  differs: '; `Signature-Base-Digest` says that the app signed something else',
  matches: '; `Signature-Base-Digest` says that the app signed the same',
};

function digestText({ verified, sent_base_digest }: Signature): string {
  return verified && sent_base_digest === 'differs'
    ? '; `Signature-Base-Digest` differs, though the signature verifies: it is of another request'
    : DIGEST_TEXTS[sent_base_digest];
}

const DIGEST_RESULTS: Readonly<Record<string, string>> = {
  matches: 'the body has the digest in `Content-Digest`',
  unchecked: 'the body was not there to be compared with `Content-Digest`: give it with --body-file',
};

function digestSentences({ content_digest }: MessageSignatureFacts): readonly string[] {
  const text = DIGEST_RESULTS[content_digest ?? ''];
  return text === undefined ? [] : [text];
}
