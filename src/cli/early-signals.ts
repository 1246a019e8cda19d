// Signals before a verb listens to them: nothing has begun, so the process ends at once, with the exit code of its verb.

const listened = ['SIGINT', 'SIGTERM'] as const;
// To be stopped is how a worker ends.
const end = () => process.exit(process.argv[2] === 'worker' ? 0 : 130);

/** From now on, and until a verb listens, SIGINT and SIGTERM end the process. */
export function endOnSignals(): void {
  for (const signal of listened) process.on(signal, end);
}

/** From now on `listener` hears SIGINT and SIGTERM. */
export function listenToSignals(listener: (signal: NodeJS.Signals) => void): void {
  for (const signal of listened) process.off(signal, end).on(signal, listener);
}
