// Answers the route of a photo: its bytes, or 304 where the browser has them. Each request asks anew whether the viewer may see it.
import type { FastifyReply, FastifyRequest } from 'fastify';
import { TooSlow } from '../store/database/reading.ts';
import { wantsReason } from './access.ts';
import type { Asked, Audited } from './page.ts';
import type { Picture } from './picture.ts';

/** Answers with the photo, or with 404 where the viewer, who may be unknown, may not see one or there is none. */
export async function answerPicture(
  request: FastifyRequest,
  reply: FastifyReply,
  picture: Picture,
  asked: Asked | undefined,
  audit: (asked: Asked, lines: readonly Audited[]) => Promise<void>,
): Promise<FastifyReply> {
  const plain = (status: number) => reply.status(status).type('text/plain').send('');
  // The page asks for the reason, so a picture never does.
  if (!asked || wantsReason(picture, picture.route, asked)) return plain(404);
  const known = request.headers['if-none-match']?.match(/[0-9a-f]{64}/g) ?? [];
  try {
    const found = await picture.load(asked, known.slice(0, 10));
    if (!found) return plain(404);
    const { content, content_type: type, sha256 } = found.photo;
    // The browser keeps it, and asks each time whether it still may.
    reply.headers({
      'cache-control': 'private, no-cache',
      etag: `"${sha256}"`,
      'cross-origin-resource-policy': 'same-origin',
    });
    if (content === null) return reply.status(304).send();
    if (found.audited.length > 0) await audit(asked, found.audited);
    return reply.type(type).send(Buffer.from(content));
  } catch (error) {
    if (error instanceof TooSlow) return plain(503);
    throw error;
  }
}
