// Signals before a verb listens: the process ends at once with the verb's exit code.

const listened = ['SIGINT', 'SIGTERM'] as const;
// A signal is the normal end of a worker.
const end = () => process.exit(process.argv[2] === 'worker' ? 0 : 130);

/** Makes SIGINT and SIGTERM end the process until a verb listens. */
export function endOnSignals(): void {
  for (const signal of listened) process.on(signal, end);
}

/** Passes SIGINT and SIGTERM to `listener` from now on. */
export function listenToSignals(listener: (signal: NodeJS.Signals) => void): void {
  for (const signal of listened) process.off(signal, end).on(signal, listener);
}
