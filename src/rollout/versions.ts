/** Adds up the checks of a policy by the version of the app. */
import type { RolloutSettings } from '../config/rollout-schema.ts';
import { OTHER_VERSION } from './outcomes.ts';
import { addTallies, type PolicySnapshot } from './snapshot.ts';

export interface VersionReport {
  readonly version: string;
  readonly judged: number;
  readonly verified: number;
}

/** The configured versions, the newest first, and then the others. */
export function versionsOf(
  { hours }: PolicySnapshot,
  { appVersion }: RolloutSettings,
): readonly VersionReport[] {
  if (appVersion === undefined) return [];
  const judged = addTallies(hours.map(({ judgedVersions }) => judgedVersions));
  const verified = addTallies(hours.map(({ verifiedVersions }) => verifiedVersions));
  return [...appVersion.known.toReversed(), OTHER_VERSION].map((version) => ({
    version,
    judged: judged[version] ?? 0,
    verified: verified[version] ?? 0,
  }));
}

/** `undefined` if no versions are configured. */
export function newestOf(
  versions: readonly VersionReport[],
  { appVersion }: RolloutSettings,
): VersionReport | undefined {
  const newest = appVersion?.known.at(-1);
  return versions.find(({ version }) => version === newest);
}
