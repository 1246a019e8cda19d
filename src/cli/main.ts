// Where the command line begins: signals first, so that a process that is only just starting ends as it promises.
import './early-signals.ts';

await import('./program.ts');
