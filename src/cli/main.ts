// Where the command line begins: signals first, so that a process that is only just starting ends as it promises.
import { endOnSignals } from './early-signals.ts';

endOnSignals();
const { runProcess } = await import('./program.ts');
await runProcess();
