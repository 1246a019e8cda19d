// A form that came after the end of its session: the browser keeps it in a signed cookie until the person has signed in
// again. It is shown then as it was filled, and sent only when its button is pressed once more.
import type { FastifyReply, FastifyRequest } from 'fastify';
import type { Database } from '../store/database/pool.ts';
import { signingKey } from '../store/tenants/invitations.ts';
import type { Answers } from './answers.ts';
import { markOf } from './html.ts';
import { readFacts, signFacts } from './links.ts';
import type { Asked, Audited, Done, SentForm } from './page.ts';

type Kept = { readonly path: string; readonly typed: SentForm['typed'] };

/** The time for which a form is kept, in milliseconds. */
const keptMs = 15 * 60_000;

// Browsers keep a cookie of up to 4,096 bytes, name and attributes included.
const largest = 3_800;

/** A form that comes back to its page: with which status, and which outcome the audit has. */
type ComingBack = {
  readonly outcome: 'previewed' | 'done' | 'conflict' | 'refused' | 'failed';
  readonly status: number;
  readonly form: SentForm;
  readonly audited?: Omit<Audited, 'act'> | undefined;
};

/** Returns how a form comes back whose act leads to no other page. */
export function comesBack(done: Exclude<Done, { to: string }>, typed: SentForm['typed']): ComingBack {
  if ('preview' in done) {
    return { outcome: 'previewed', status: 200, form: { typed, problems: [], shown: done.preview } };
  }
  if ('told' in done) {
    const form = { typed: {}, problems: [], shown: done.told };
    return { outcome: 'done', status: 200, form, audited: done.audited };
  }
  const { conflict = false, late, problems, shown } = done;
  const form = { typed, problems, conflict, ...(shown && { shown }) };
  if (late) return { outcome: 'failed', status: 503, form };
  return conflict ? { outcome: 'conflict', status: 409, form } : { outcome: 'refused', status: 422, form };
}

/** Keeps forms in a cookie of the browser. */
export type FormKeeper = {
  /** Keeps a form of the page at `path`. Returns whether it is small enough. */
  keep(reply: FastifyReply, form: Kept): Promise<boolean>;
  cookieOf(request: FastifyRequest): string | undefined;
  forget(reply: FastifyReply): void;
};

/** Returns the keeper of forms in the cookie of this name. */
export function formKeeper(database: Database, name: string, { cookie }: Pick<Answers, 'cookie'>): FormKeeper {
  return {
    keep: async (reply, { path, typed }) => {
      const ends = new Date(Date.now() + keptMs);
      const kept = signFacts(await signingKey(database), 'form', { path, typed }, ends);
      if (kept.length > largest) return false;
      reply.setCookie(name, kept, { ...cookie, maxAge: keptMs / 1000 });
      return true;
    },
    cookieOf: ({ cookies }) => cookies[name],
    forget: (reply) => void reply.clearCookie(name, cookie),
  };
}

/**
 * Returns the form that the cookie keeps of this page, with a message that says why it comes back. It is for the person who
 * filled it, and not for the next one at the same browser.
 */
export async function keptForm(
  { database, path, viewer, language }: Asked,
  cookie: string,
): Promise<SentForm | 'of another person' | undefined> {
  const found = readFacts<Kept>(await signingKey(database), 'form', cookie, Date.now());
  if (!found || found.expired || found.facts.path !== path) return undefined;
  const { typed } = found.facts;
  if (typed._of !== undefined && typed._of !== markOf(viewer)) return 'of another person';
  return { typed, problems: [{ message: language.texts.forms.sessionEnded }] };
}
