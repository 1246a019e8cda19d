// The entry of the command line. Signals come first, for processes that are still loading.
import { endOnSignals } from './early-signals.ts';

endOnSignals();
const { runProcess } = await import('./program.ts');
await runProcess();
