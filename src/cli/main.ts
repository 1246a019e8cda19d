// The entry of the command line. Listens to signals first, so that a process that is still loading ends as documented.
import { endOnSignals } from './early-signals.ts';

endOnSignals();
const { runProcess } = await import('./program.ts');
await runProcess();
