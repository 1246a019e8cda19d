// Names of Graph's endpoints: few and fixed, so that they can label metrics.

const endpoints: readonly (readonly [string, RegExp])[] = [
  ['users/delta', /\/users\/(microsoft\.graph\.)?delta(\(\))?$/i],
  ['groups/delta', /\/groups\/(microsoft\.graph\.)?delta(\(\))?$/i],
  ['$batch', /\/\$batch$/],
  ['members', /\/groups\/[^/]+\/members$/i],
  ['memberOf', /\/users\/[^/]+\/memberOf$/i],
  ['deletedItems/group', /\/directory\/deletedItems\/microsoft\.graph\.group$/i],
  ['deletedItems', /\/directory\/deletedItems\//i],
  ['users', /\/users(\/|\(|$)/i],
  ['groups', /\/groups(\/|\(|$)/i],
];

/**
 * Whether a refusal is no fault: Graph shows deleted groups only to permissions that entra-sync does not ask for, and does
 * without (`readDeletedIds`).
 */
export function isOrdinaryRefusal(endpoint: string, outcome: number | string): boolean {
  return endpoint === 'deletedItems/group' && outcome === 403;
}

/** Returns the name of the endpoint of a Graph URL, `other` for the rest. */
export function endpointOf(url: string): string {
  const path = URL.canParse(url) ? new URL(url).pathname : '';
  return endpoints.find(([, pattern]) => pattern.test(path))?.[0] ?? 'other';
}
