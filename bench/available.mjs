/** Finds out which servers can be measured here, and says loudly which cannot. */

/** @typedef {import('./subjects.mjs').Subject} Subject */

/**
 * @typedef {object} Commands
 * @property {readonly Subject[]} subjects
 * @property {readonly { label: string, why: string }[]} unavailable
 * @property {(subject: Subject) => (config: string) => import('./servers.mjs').ServerCommand} of
 */

/**
 * @param {readonly Subject[]} wanted
 * @param {import('./subjects.mjs').Surroundings} surroundings
 * @returns {Promise<Commands>}
 */
export async function findAvailable(wanted, surroundings) {
  /** @type {Map<Subject, (config: string) => import('./servers.mjs').ServerCommand>} */
  const commands = new Map();
  const unavailable = [];
  for (const subject of wanted) {
    const prepared = await subject.prepare(surroundings);
    if (prepared.kind === 'ready') commands.set(subject, prepared.command);
    else unavailable.push({ label: subject.label, why: prepared.why });
  }
  return {
    subjects: [...commands.keys()],
    unavailable,
    of(subject) {
      const command = commands.get(subject);
      if (command === undefined) throw new RangeError(`${subject.id} is not available`);
      return command;
    },
  };
}
