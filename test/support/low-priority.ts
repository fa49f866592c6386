/** Lowers the priority of this process and of those it starts, so that tests that need an idle CPU can run beside it. */
import { constants, setPriority } from 'node:os';

setPriority(constants.priority.PRIORITY_LOW);
