// Answers the one script of the pages, and its question for what changed.
import type { FastifyInstance, FastifyReply } from 'fastify';
import { TooSlow } from '../store/database/reading.ts';
import { newsScript } from './news.ts';
import type { News } from './news-question.ts';
import type { Asked } from './page.ts';

type Headers = Readonly<Record<string, string>>;

/** Adds the route of the script. A browser keeps it, since its address changes with it. */
export function serveNewsScript(app: FastifyInstance, headers: Headers): void {
  app.get(newsScript.path, async (_request, reply) =>
    reply
      .headers({ ...headers, 'cache-control': 'public, max-age=31536000, immutable' })
      .type('text/javascript; charset=utf-8')
      .send(newsScript.text),
  );
}

/** Answers with the number, or with 404 where the viewer, who may be unknown, has nothing to ask. */
export async function answerNews(
  reply: FastifyReply,
  headers: Headers,
  news: News,
  asked: Asked | undefined,
): Promise<FastifyReply> {
  const plain = (status: number, text = '') => reply.headers(headers).status(status).type('text/plain').send(text);
  if (!asked) return plain(404);
  try {
    const count = await news.count(asked);
    return count === undefined ? plain(404) : plain(200, String(count));
  } catch (error) {
    if (error instanceof TooSlow) return plain(503);
    throw error;
  }
}
