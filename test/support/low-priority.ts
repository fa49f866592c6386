/** Lowers the priority of this process and of those it starts, so that tests that need an idle CPU can run beside it. */
import { setPriority } from 'node:os';

/** A third of the normal share. Lower, other load on the machine would starve these tests. */
const NICE = 5;

setPriority(NICE);
