// The hosts of Microsoft Graph and of sign-in, by cloud (learn.microsoft.com/graph/deployments).
import { ExpectedError } from '../errors.ts';

export type Cloud = {
  /** Origins without a trailing slash. */
  readonly graphOrigin: string;
  readonly authorityHost: string;
  /** Whether Microsoft's instance discovery knows the authority. */
  readonly knownAuthority: boolean;
  /** The audience of the token by which a managed identity signs in (docs/graph.md, "Sign-in errors"). */
  readonly exchangeAudience: string;
};

const clouds: Readonly<Record<string, Omit<Cloud, 'knownAuthority'>>> = {
  global: {
    graphOrigin: 'https://graph.microsoft.com',
    authorityHost: 'https://login.microsoftonline.com',
    exchangeAudience: 'api://AzureADTokenExchange',
  },
  usgov: {
    graphOrigin: 'https://graph.microsoft.us',
    authorityHost: 'https://login.microsoftonline.us',
    exchangeAudience: 'api://AzureADTokenExchangeUSGov',
  },
  'usgov-dod': {
    graphOrigin: 'https://dod-graph.microsoft.us',
    authorityHost: 'https://login.microsoftonline.us',
    exchangeAudience: 'api://AzureADTokenExchangeUSGov',
  },
  china: {
    graphOrigin: 'https://microsoftgraph.chinacloudapi.cn',
    authorityHost: 'https://login.chinacloudapi.cn',
    exchangeAudience: 'api://AzureADTokenExchangeChina',
  },
};

/**
 * Returns the hosts of ENTRA_SYNC_CLOUD (default `global`), overridden by GRAPH_BASE_URL (an origin without a version)
 * and AZURE_AUTHORITY_HOST. Throws `usage` for an unknown cloud or a URL that is not an https origin.
 */
export function resolveCloud(env: NodeJS.ProcessEnv): Cloud {
  const name = env.ENTRA_SYNC_CLOUD || 'global';
  const cloud = Object.hasOwn(clouds, name) ? clouds[name] : undefined;
  if (!cloud) {
    throw new ExpectedError('usage', `ENTRA_SYNC_CLOUD is ${JSON.stringify(name)}, which is not a cloud`, {
      cure: `use one of ${Object.keys(clouds).join(', ')}`,
    });
  }
  const graphOrigin = env.GRAPH_BASE_URL ? httpsOrigin('GRAPH_BASE_URL', env.GRAPH_BASE_URL) : cloud.graphOrigin;
  const authorityHost = env.AZURE_AUTHORITY_HOST
    ? httpsOrigin('AZURE_AUTHORITY_HOST', env.AZURE_AUTHORITY_HOST)
    : cloud.authorityHost;
  return {
    ...cloud,
    graphOrigin,
    authorityHost,
    knownAuthority: Object.values(clouds).some((known) => known.authorityHost === authorityHost),
  };
}

function httpsOrigin(variable: string, value: string): string {
  const url = URL.canParse(value) ? new URL(value) : undefined;
  if (url?.protocol !== 'https:' || url.href !== `${url.origin}/`) {
    throw new ExpectedError('usage', `${variable} is not an https origin`, {
      cure: `set it to scheme, host and port only, like https://${variable === 'GRAPH_BASE_URL' ? 'graph.microsoft.com' : 'login.microsoftonline.com'}`,
    });
  }
  return url.origin;
}
