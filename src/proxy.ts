// Proxies: fetch ignores the environment's proxy by default, unlike the library that signs in.
import http from 'node:http';
import type { Environment } from './environment.ts';

const names = ['HTTPS_PROXY', 'https_proxy', 'HTTP_PROXY', 'http_proxy'];

/** Whether the environment names a proxy. */
export function namesProxy(variables: NodeJS.ProcessEnv): boolean {
  return names.some((name) => variables[name]);
}

/**
 * Sends fetch through the proxy of HTTPS_PROXY, except to the hosts of NO_PROXY. Returns a remark if this Node cannot
 * (before 24.14 it needs NODE_USE_ENV_PROXY=1 at its start).
 */
export function useProxyOf({ variables }: Environment): string | undefined {
  if (!namesProxy(variables) || variables.NODE_USE_ENV_PROXY === '1') return undefined;
  const { setGlobalProxyFromEnv } = http as { setGlobalProxyFromEnv?: (environment: NodeJS.ProcessEnv) => unknown };
  if (!setGlobalProxyFromEnv)
    return `a proxy is set, and Node ${process.versions.node} uses it only with NODE_USE_ENV_PROXY=1 in the environment`;
  setGlobalProxyFromEnv(variables);
  return undefined;
}
