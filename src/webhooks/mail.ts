// A notice by mail, through the server that SMTP_URL names.
import { connect } from 'node:net';
import { createTransport } from 'nodemailer';
import SMTPTransport from 'nodemailer/lib/smtp-transport/index.js';
import type { Answer } from './post.ts';

export type MailServer = {
  /** smtp:// or smtps://, with user name and password. */
  readonly url: string;
  /** The sender of mails. */
  readonly from: string;
};

/** The time for the whole of it, however slowly the server speaks, in milliseconds: shorter than the claim of a worker. */
const mailMs = 30_000;

/** Sends a mail. The status is that of the SMTP answer as HTTP would say it: 250 is 200. Throws only when the signal ends it. */
export async function sendMail(
  server: MailServer | undefined,
  mail: { readonly to: string; readonly subject: string; readonly text: string; readonly messageId: string },
  signal: AbortSignal,
  withinMs = mailMs,
): Promise<Answer> {
  const began = performance.now();
  const ended = (found: Pick<Answer, 'status' | 'problem' | 'answer'>): Answer => ({
    ...found,
    retryAfter: undefined,
    ms: Math.round(performance.now() - began),
  });
  if (!server) return ended({ status: null, problem: 'no mail server: the worker has no SMTP_URL', answer: null });
  const ending = AbortSignal.any([signal, AbortSignal.timeout(withinMs)]);
  const transport = createTransport(transportOf(server.url, ending));
  try {
    const { messageId, to, ...rest } = mail;
    const sent = await transport.sendMail({
      // As an object: a text could hold several addresses.
      ...{ ...rest, to: { name: '', address: to }, from: server.from, messageId: `<${messageId}@entra-sync>` },
      // No auto-reply should come back for it (RFC 3834).
      headers: { 'auto-submitted': 'auto-generated' },
    });
    return ended({ status: 200, problem: null, answer: String(sent.response).slice(0, 200) });
  } catch (error) {
    signal.throwIfAborted();
    if (ending.aborted)
      return ended({ status: null, problem: `the mail server took longer than ${withinMs / 1_000} s`, answer: null });
    const { code, responseCode, response } = error as { code?: string; responseCode?: number; response?: string };
    // The server's words may hold the address; the code says enough.
    const answer = response === undefined ? null : response.slice(0, 3);
    return ended({
      status: null,
      problem: `the mail server refused it (${responseCode ?? code ?? 'unknown'})`,
      answer,
    });
  } finally {
    transport.close();
  }
}

/** Returns a transport whose connection ends with the signal: the library ends none that is under way. */
function transportOf(url: string, signal: AbortSignal): SMTPTransport {
  return new SMTPTransport({
    url,
    // Called with the options of the address; the library adds TLS.
    getSocket: ({ host = 'localhost', port, secure }, done) => {
      const socket = connect({ host, port: Number(port) || (secure ? 465 : 587) });
      const stop = () => socket.destroy(new Error('the time is over'));
      signal.addEventListener('abort', stop, { once: true });
      socket.once('close', () => signal.removeEventListener('abort', stop));
      const refuse = (error: Error) => done(error, undefined);
      socket.once('error', refuse);
      socket.once('connect', () => {
        socket.off('error', refuse);
        done(null, { connection: socket });
      });
      if (signal.aborted) stop();
    },
  });
}
