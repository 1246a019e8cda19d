// The variables of the environment that sending to webhooks and mail reads.
import { readPublicUrl, readSecret } from '../environment.ts';
import { ExpectedError } from '../errors.ts';
import { namesProxy } from '../proxy.ts';

/** The hosts, addresses and servers that the environment names for sending. */
export type Sending = {
  /**
   * The hosts of ENTRA_SYNC_WEBHOOK_HOSTS where the environment names a proxy: a proxy looks names up itself, so no address
   * can be checked. Undefined: there is no proxy, and the address of each connection is checked instead.
   */
  readonly proxiedHosts: readonly string[] | undefined;
  /** The public address of the console, for links; undefined: none is named. */
  readonly publicUrl: string | undefined;
  /** The server of SMTP_URL, or of the file SMTP_URL_FILE; undefined: no mail can be sent. */
  readonly mail: { readonly url: string; readonly from: string } | undefined;
};

/** Reads it. Throws `usage` for an address that is none. */
export function sendingOf(variables: NodeJS.ProcessEnv): Sending {
  const words = (variables.ENTRA_SYNC_WEBHOOK_HOSTS ?? '').split(',').map((one) => one.trim().toLowerCase());
  return {
    proxiedHosts: namesProxy(variables) ? words.filter((one) => one !== '') : undefined,
    publicUrl: variables.ENTRA_SYNC_PUBLIC_URL ? readPublicUrl(variables, undefined, 0) : undefined,
    mail: mailServer(variables),
  };
}

function mailServer(variables: NodeJS.ProcessEnv): Sending['mail'] {
  const url = readSecret(variables, 'SMTP_URL');
  if (url === undefined) return undefined;
  const from = variables.ENTRA_SYNC_MAIL_FROM;
  // The address holds a password, so it is not shown.
  const isUrl = URL.canParse(url) && ['smtp:', 'smtps:'].includes(new URL(url).protocol);
  if (!isUrl) {
    throw new ExpectedError('usage', 'SMTP_URL is no address of a mail server', {
      cure: 'write it like smtps://user:password@mail.example.com',
    });
  }
  if (!from || !/^[^\s<>@]+@[^\s<>@]+$/.test(from)) {
    throw new ExpectedError('usage', 'SMTP_URL needs ENTRA_SYNC_MAIL_FROM, the sender of mails', {
      cure: 'set it to an address like entra-sync@example.com',
    });
  }
  return { url, from };
}
