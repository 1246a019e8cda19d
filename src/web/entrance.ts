// The way into the pages: what an entrance does for a browser without a session.
import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify';
import type { Viewer } from './access.ts';
import type { HeldForm } from './held-form.ts';
import type { Content } from './page.ts';
import type { WebLanguage } from './web-language.ts';

/** The parts of the server that an entrance uses. */
export type Threshold = {
  /** Gives the browser its cookie, and leads it to a path of ours, which is encoded already. */
  open(reply: FastifyReply, cookie: string, to: string): FastifyReply;
  /** Returns whether the browser has a session. */
  isIn(request: FastifyRequest): Promise<boolean>;
  /** Answers with a page that only tells something, in the language of the request. */
  tell(reply: FastifyReply, status: number, telling: (language: WebLanguage) => Content): FastifyReply;
  /** Answers with a whole page. */
  send(reply: FastifyReply, status: number, page: string): FastifyReply;
  /** Returns the path where a viewer starts; undefined where this process has nothing for the viewer. */
  start(viewer: Viewer): string | undefined;
};

export type Entrance = {
  /** Adds the routes of the entrance, all of which are `everybody` in the table of access. */
  register(app: FastifyInstance, threshold: Threshold): Promise<void>;
  /** Answers a request without a session. `to`: where it goes on, encoded; else the address that was asked for. */
  ask(request: FastifyRequest, reply: FastifyReply, to?: string): FastifyReply | Promise<FastifyReply>;
  /**
   * Answers a form that came without a session. `to`: the page that shows the form again, with what was typed; `isKept`: a
   * cookie keeps it for that page. Else a page has to hold it.
   */
  askAgain(request: FastifyRequest, reply: FastifyReply, to: string, form: HeldForm, isKept: boolean): FastifyReply;
  /** The path that says that there is no session any more. */
  readonly left: string;
  /** Ends the session of a cookie. `reference`: the request's id, for the audit. */
  leave(cookie: string, viewer: Viewer, reference: string): Promise<void>;
};
