// Reads the variables that name a proxy as curl and most programs do (https://curl.se/docs/manpage.html#ENVIRONMENT), and
// refuses what fetch could not use.

/** A proxy: the variable that names it, and its URL in full. */
export type NamedProxy = { readonly variable: string; readonly url: string };

export type Proxies = {
  /** The proxy to https:// hosts. */
  readonly https: NamedProxy | undefined;
  /** The proxy to http:// hosts, such as a collector of traces. */
  readonly http: NamedProxy | undefined;
  /** The hosts that are reached without a proxy. A name stands for its subdomains too, and * for all hosts. */
  readonly noProxy: string;
};

/** The reason why a variable is refused, and its cure. Holds no part of the value, which may be a password. */
export type ProxyProblem = { readonly variable: string; readonly problem: string; readonly cure: string };

type Variables = Readonly<Record<string, string | undefined>>;

const forHttps = ['https_proxy', 'HTTPS_PROXY', 'all_proxy', 'ALL_PROXY', 'http_proxy', 'HTTP_PROXY'];
const forHttp = ['http_proxy', 'HTTP_PROXY'];

/** The form of a proxy's address, for cures. */
export const proxyForm = 'http://user:password@host:port';

const encoded = `write it like ${proxyForm}, with %40 for @, %2F for /, %23 for #, %3F for ? and %25 for % in user and password`;

/** Returns the proxies that the environment names, or the problem of the first wrong variable. */
export function readProxies(variables: Variables): Proxies | ProxyProblem {
  const https = readFirst(variables, forHttps);
  if (https && 'problem' in https) return https;
  const http = readFirst(variables, forHttp);
  if (http && 'problem' in http) return http;
  return { https, http, noProxy: noProxyOf(valueFrom(variables, ['no_proxy', 'NO_PROXY'])?.value ?? '') };
}

function readFirst(variables: Variables, names: readonly string[]): NamedProxy | ProxyProblem | undefined {
  const found = valueFrom(variables, names);
  if (!found) return undefined;
  const { variable, value } = found;
  const read = readAddress(value);
  return 'url' in read ? { variable, url: read.url } : { variable, ...read };
}

function valueFrom(variables: Variables, names: readonly string[]): { variable: string; value: string } | undefined {
  for (const variable of names) {
    const value = variables[variable]?.trim();
    if (value) return { variable, value };
  }
  return undefined;
}

function readAddress(text: string): { readonly url: string } | Omit<ProxyProblem, 'variable'> {
  const scheme = /^([a-z][a-z\d+.-]*):\/\//i.exec(text)?.[1]?.toLowerCase();
  if (scheme?.startsWith('socks')) {
    return { problem: 'names a SOCKS proxy, and only HTTP proxies are supported', cure: `name one like ${proxyForm}` };
  }
  if (scheme !== undefined && scheme !== 'http' && scheme !== 'https') {
    return { problem: 'is not the address of an HTTP proxy', cure: `write it like ${proxyForm}` };
  }
  // Without a scheme curl takes it for http.
  const whole = scheme === undefined ? `http://${text}` : text;
  const url = URL.canParse(whole) ? new URL(whole) : undefined;
  // A / or # in the password ends the host too early: the rest is then a path.
  if (!url?.hostname || url.pathname !== '/' || /[?#]/.test(url.href) || !isEncoded(url)) {
    return { problem: 'is not the address of an HTTP proxy', cure: encoded };
  }
  return { url: url.href };
}

function isEncoded({ username, password }: URL): boolean {
  try {
    decodeURIComponent(`${username}:${password}`);
    return true;
  } catch {
    return false;
  }
}

// Node knows * only where it stands alone.
function noProxyOf(text: string): string {
  return text.split(/[\s,]+/).includes('*') ? '*' : text;
}
