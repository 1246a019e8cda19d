// Reads DATABASE_URL as libpq does (https://www.postgresql.org/docs/current/libpq-connect.html) and refuses options
// that the driver cannot honour with the same meaning.

/** The reason why a URL is refused, and its cure. Never holds a part of the URL that may be secret. */
export type UrlProblem = { readonly problem: string; readonly cure: string };

const tlsModes = ['disable', 'prefer', 'require', 'verify-ca', 'verify-full'];
const writable = ['any', 'read-write', 'primary'];
const form = 'write it like postgres://user:password@host:5432/database';

/** Returns the problem of a DATABASE_URL, or undefined. */
export function problemOfUrl(text: string): UrlProblem | undefined {
  const [, authority] = /^postgres(?:ql)?:\/\/([^/?#]*)/.exec(text) ?? [];
  if (authority === undefined) return { problem: 'is not a Postgres URL', cure: form };
  if (authority.slice(authority.lastIndexOf('@') + 1).includes(',')) {
    return {
      problem: 'names several hosts',
      cure: 'name one that leads to the primary: a DNS name, PgBouncer or HAProxy in front of them',
    };
  }
  if (!URL.canParse(text)) {
    return { problem: 'is not a Postgres URL', cure: `${form}, with %40 for @ and %2F for / in the password` };
  }
  const options = new URL(text).searchParams;
  const session = options.get('target_session_attrs');
  if (session !== null && !writable.includes(session)) {
    return {
      problem: `asks for target_session_attrs=${asWord(session)}`,
      cure: 'entra-sync writes: name the primary, and leave target_session_attrs out',
    };
  }
  return problemOfTls(options.get('sslmode'), options.get('sslrootcert'));
}

function problemOfTls(mode: string | null, rootCert: string | null): UrlProblem | undefined {
  if (mode === 'allow') {
    return {
      problem: 'asks for sslmode=allow',
      cure: 'choose: sslmode=disable without TLS, sslmode=require with it, sslmode=verify-full for a checked server',
    };
  }
  // `no-verify` is the driver's own word for `require`.
  if (mode !== null && mode !== 'no-verify' && !tlsModes.includes(mode)) {
    return { problem: `asks for sslmode=${asWord(mode)}`, cure: `use one of ${tlsModes.join(', ')}` };
  }
  if (mode === 'verify-ca' && rootCert === null) {
    return {
      problem: 'asks for sslmode=verify-ca without sslrootcert',
      cure: 'add &sslrootcert=FILE with the CA, or use sslmode=verify-full, which trusts public CAs',
    };
  }
  if (rootCert === 'system' && mode !== null && mode !== 'verify-full') {
    return { problem: `asks for sslrootcert=system with sslmode=${mode}`, cure: 'use sslmode=verify-full with it' };
  }
  return undefined;
}

/** Returns the files that the URL names, by option, to check them before a connection is made. */
export function filesOfUrl(text: string): { readonly option: string; readonly path: string }[] {
  const options = new URL(text).searchParams;
  return ['sslrootcert', 'sslcert', 'sslkey'].flatMap((option) => {
    const path = options.get(option);
    return path && !(option === 'sslrootcert' && path === 'system') ? [{ option, path }] : [];
  });
}

/** `authority`: a trusted CA signed the certificate. `server`: it also names the host. */
export type TlsCheck = 'none' | 'authority' | 'server';

/**
 * Returns what libpq checks for this URL; undefined: no TLS, the default. `prefer` never falls back to no TLS.
 * `sslrootcert=system` means `verify-full` with the CAs that Node trusts.
 */
export function tlsOfUrl(text: string): TlsCheck | undefined {
  const options = new URL(text).searchParams;
  const rootCert = options.get('sslrootcert');
  switch (options.get('sslmode') ?? (rootCert === 'system' ? 'verify-full' : rootCert === null ? '' : 'require')) {
    case 'verify-full':
      return 'server';
    case 'verify-ca':
      return 'authority';
    case 'require':
      return rootCert === null ? 'none' : 'authority';
    case 'prefer':
    case 'no-verify':
      return 'none';
    default:
      return undefined;
  }
}

/** Returns the URL without its TLS options. */
export function urlWithoutTls(text: string): string {
  const url = new URL(text);
  for (const option of ['sslmode', 'sslrootcert', 'sslcert', 'sslkey', 'ssl']) url.searchParams.delete(option);
  return url.href;
}

function asWord(text: string): string {
  return JSON.stringify(text.slice(0, 40));
}
