// Names the fault of a connection by one code.

/**
 * Returns the code of a failed request: Node's or undici's, `TIMEOUT`, `PROXY_407` for a proxy that did not connect, or
 * undefined. fetch hides it in `cause` (TypeError: fetch failed).
 */
export function networkCode(error: unknown): string | undefined {
  if (!(error instanceof Error)) return undefined;
  if (error.name === 'TimeoutError') return 'TIMEOUT';
  for (let level: unknown = error; level instanceof Error; level = level.cause) {
    // undici has no code for it (lib/dispatcher/proxy-agent.js).
    const [, status] = /^Proxy response \((\d{3})\)/.exec(level.message) ?? [];
    if (status !== undefined) return `PROXY_${status}`;
    const { code } = level as { code?: unknown };
    if (typeof code === 'string') return code;
    if (level instanceof AggregateError && level.errors.length > 0) return networkCode(level.errors[0]);
  }
  return undefined;
}
