/** Puts into sentences what each step of a check found. */
import type { Step } from '../../authz/reason.ts';
import { formatDuration } from '../../rollout/words.ts';
import { bindingSentences } from './binding-sentences.ts';
import { keySentences, signatureSentences } from './key-sentences.ts';
import { messageSignatureSentences } from './message-signature-sentences.ts';
import type { PolicyFacts } from './policy-facts.ts';
import type { ClaimsFacts, FactsByStep, LifetimeFacts } from './step-facts.ts';
import { isoTime } from './times.ts';
import { tokenSentences } from './token-sentences.ts';
import { list, quote } from './values.ts';

type Sentences<S extends Step> = (facts: FactsByStep[S]) => readonly string[];

const SENTENCES: { readonly [S in Step]: Sentences<S> } = {
  policy: policySentences,
  token: tokenSentences,
  key: keySentences,
  signature: signatureSentences,
  lifetime: lifetimeSentences,
  claims: claimsSentences,
  binding: bindingSentences,
  message_signature: messageSignatureSentences,
};

/** Each to be wrapped by itself. */
export function sentencesOf(step: Step, facts: Partial<FactsByStep>): readonly string[] {
  const write = <S extends Step>(name: S): readonly string[] => {
    const found = facts[name];
    return found === undefined ? [] : SENTENCES[name](found);
  };
  return write(step);
}

function policySentences(facts: PolicyFacts): readonly string[] {
  const { policy, mode, candidates, known_policies, did_you_mean, skipped } = facts;
  if (policy === null) {
    const advice = did_you_mean === null ? '' : `; did you mean ${did_you_mean}?`;
    return [`the policy that was named is not configured${advice} (known: ${known_policies.join(', ')})`];
  }
  const sources = candidates
    .filter((candidate) => candidate.policy === policy)
    .map(({ selected }) => sourceText(selected, candidates.length === 1));
  return [
    `${policy} (mode ${mode}): ${list([...new Set(sources)], 'and')}`,
    ...ambiguitySentences(facts),
    ...shareSentences(facts),
    ...(skipped === 'policy_off' ? ['mode off: no token is required'] : []),
    ...(skipped === 'cors_preflight'
      ? ['a CORS preflight: OPTIONS with `origin` and `access-control-request-method`']
      : []),
  ];
}

const KNOWN_BY = { did: 'by its `did`', address: 'by the address of the client' };

function shareSentences({ share, skipped }: PolicyFacts): readonly string[] {
  if (share === null || skipped !== null) return [];
  const { enforce_percent: percent, device_by: by, enforced } = share;
  const known = by === null ? 'by neither `did` nor address (which counts as the first)' : KNOWN_BY[by];
  return [`enforcePercent ${percent}: this device, known ${known}, is ${enforced ? 'enforced' : 'observed'}`];
}

function sourceText(
  selected: PolicyFacts['candidates'][number]['selected'],
  isOnlyCandidate: boolean,
): string {
  switch (selected.by) {
    case 'name':
      return 'named with --policy, as Envoy would';
    case 'route':
      return `route ${selected.number} (${selected.matches})`;
    case 'default':
      return isOnlyCandidate ? 'the default, as no route matches' : 'the default';
  }
}

const AMBIGUOUS = {
  path: 'ambiguous path: upstreams may read it differently',
  host: 'ambiguous host: it is not a valid host',
};

function ambiguitySentences({ ambiguous, host_given, candidates }: PolicyFacts): readonly string[] {
  if (ambiguous === null) return [];
  const cause =
    ambiguous === 'host' && !host_given ? 'ambiguous host: none is given (--host)' : AMBIGUOUS[ambiguous];
  const names = [...new Set(candidates.map(({ policy }) => policy))];
  return [
    names.length === 1
      ? `${cause}; no other policy could apply`
      : `${cause}; the strictest of ${list(names, 'and')} decides`,
  ];
}

function lifetimeSentences(facts: LifetimeFacts): readonly string[] {
  const { exp, nbf, now, now_given, clock_tolerance_seconds: tolerance } = facts;
  const nowText = `now ${isoTime(now)}${now_given ? ' (--at)' : ''}`;
  return [
    `exp ${timeText(exp)}, ${nowText}${expiryText(exp, now)}`,
    ...(nbf === undefined ? [] : [`nbf ${timeText(nbf)}${startText(nbf, now)}`]),
    ...(tolerance === 0 ? [] : [`clockToleranceSeconds is ${tolerance}`]),
    ...clockHints(facts),
  ];
}

function timeText(claim: unknown): string {
  if (typeof claim === 'number' && Number.isFinite(claim)) return isoTime(claim);
  return claim === undefined ? 'absent' : `is not a number: ${quote(claim)}`;
}

function expiryText(exp: unknown, now: number): string {
  if (typeof exp !== 'number' || !Number.isFinite(exp)) return '';
  return now < exp
    ? `: expires in ${formatDuration(exp - now)}`
    : `: expired ${formatDuration(now - exp)} ago`;
}

function startText(nbf: unknown, now: number): string {
  return typeof nbf === 'number' && nbf > now ? `: ${formatDuration(nbf - now)} from now` : '';
}

/** A difference this small is more likely the fault of a clock than of a client. */
const CLOCK_SECONDS = 60;

function clockHints(facts: LifetimeFacts): readonly string[] {
  const { exp, nbf, iat, now, now_given, clock_tolerance_seconds: tolerance } = facts;
  if (now_given) return [];
  const isIssuedLater = typeof iat === 'number' && iat > now;
  if (isIssuedLater) {
    return [
      `iat is ${formatDuration(iat - now)} from now: this machine’s clock is slow (compare \`date -u\`)`,
    ];
  }
  if (typeof nbf === 'number' && nbf > now + tolerance)
    return ['this machine’s clock may be slow (compare `date -u`)'];
  const isJustExpired = typeof exp === 'number' && now >= exp + tolerance && now - exp < CLOCK_SECONDS;
  return isJustExpired
    ? [
        'a difference this small may be due to a fast clock on this machine (compare `date -u`), or a slow request',
      ]
    : [];
}

function claimsSentences(facts: ClaimsFacts): readonly string[] {
  const { iss, aud, expected_issuer, expected_audience, audience_is_host } = facts;
  if (expected_issuer === null && expected_audience === null) {
    return ['not checked: the policy has no `issuer` and no `audience`'];
  }
  return [
    ...(expected_issuer === null ? [] : [`iss ${claimText(iss)}, expected ${listed(expected_issuer)}`]),
    ...(expected_audience === null
      ? []
      : [`aud ${claimText(aud)}, expected ${audienceText(expected_audience, audience_is_host)}`]),
  ];
}

function claimText(claim: unknown): string {
  return claim === '' ? '"", which counts as absent' : quote(claim);
}

function audienceText(expected: readonly string[], isHost: boolean): string {
  if (!isHost) return listed(expected);
  return expected.length === 0
    ? 'the host of the request, which has none (--host)'
    : `the host ${listed(expected)}`;
}

function listed(values: readonly string[]): string {
  return list(values.map(quote), 'or');
}
