/** Finds what message signatures need and the configuration lacks; in the raw content, so that schema errors do not hide it. */
import type { Problem } from './config.ts';
import { isRawObject, type RawObject, rawList } from './env.ts';
import { printableName } from './shape-problems.ts';
import { takenMembers } from './taken-members.ts';

export function messageSignatureProblems(content: RawObject): readonly Problem[] {
  const { policies } = content;
  if (!isRawObject(policies)) return mskidProblems(content);
  return [
    ...mskidProblems(content),
    ...Object.entries(policies).flatMap(([name, policy]) => {
      const section = isRawObject(policy) ? policy['messageSignature'] : undefined;
      return isRawObject(section)
        ? sectionProblems(content, section).map(({ path, message }) => ({
            path: `policies.${printableName(name)}.messageSignature.${path}`,
            message,
          }))
        : [];
    }),
  ];
}

/** @returns problems with paths below the section. */
function sectionProblems(content: RawObject, { account, replay }: RawObject): readonly Problem[] {
  const { workers = 1 } = content;
  const isEnabled = account === 'when-mskid' || account === 'required';
  return [
    ...(isEnabled && rawList(content, 'messageSigningKeys').length === 0
      ? [{ path: 'account', message: `${account} needs an account key in messageSigningKeys` }]
      : []),
    ...(replay === 'shared' && !Object.hasOwn(content, 'replayStore')
      ? [
          {
            path: 'replay',
            message: 'shared needs a replayStore, such as replayStore: {url: "redis://redis:6379"}',
          },
        ]
      : []),
    ...(replay === 'per-instance' && workers !== 1
      ? [
          {
            path: 'replay',
            message:
              'per-instance needs workers: 1, since each worker remembers only its own requests; or write replay: shared, with a replayStore',
          },
        ]
      : []),
  ];
}

/** One `mskid` names one key. */
function mskidProblems(content: RawObject): readonly Problem[] {
  return takenMembers(content, ['messageSigningKeys'], 'mskid');
}
