/** Bounds how far apart the clocks of replicas may be, so that no replica accepts what another has forgotten. */

/** Machines that follow NTP differ by milliseconds. */
export const MAX_CLOCK_DIFFERENCE_SECONDS = 2;
