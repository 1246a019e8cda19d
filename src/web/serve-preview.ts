// Serves previews as preview.ts describes them. Refusals are such documents too: the frame of a page shows no other.
import type { FastifyReply, FastifyRequest } from 'fastify';
import { ExpectedError } from '../errors.ts';
import { asGuid } from '../rules/decode.ts';
import { type Database, describeDatabaseError } from '../store/database/pool.ts';
import { TooSlow } from '../store/database/reading.ts';
import { html } from './html.ts';
import type { Asked } from './page.ts';
import { type Preview, type Previewed, previewDocument, previewPolicy } from './preview.ts';
import { auditAsked } from './request-audit.ts';
import type { WebLanguage } from './web-language.ts';

type Told = { readonly title: string; readonly what: string };

/** Sends a preview. */
function sendPreview(reply: FastifyReply, status: number, language: WebLanguage, shown: Omit<Previewed, 'isRefused'>) {
  return reply
    .removeHeader('cross-origin-opener-policy')
    .headers({ 'content-security-policy': previewPolicy(shown.images), 'x-frame-options': 'SAMEORIGIN' })
    .status(status)
    .type('text/html; charset=utf-8')
    .send(previewDocument(language.tag, shown));
}

/** Sends a document of a preview that only tells something. */
export function tellInFrame(reply: FastifyReply, status: number, language: WebLanguage, { title, what }: Told) {
  const content = html`<p class="preview-wrong"><strong>${title}.</strong> ${what}</p>`;
  return sendPreview(reply, status, language, { title, content, images: [] });
}

/** Answers a request for a preview that the viewer may see. `isFromPage`: a form that it brings comes from a page of ours. */
export async function answerPreview(
  database: Database,
  request: FastifyRequest,
  reply: FastifyReply,
  preview: Preview,
  asked: Asked,
  isFromPage: boolean,
): Promise<FastifyReply> {
  const { language, params } = asked;
  const { tellings } = language.texts;
  const accountId = asGuid(params.account ?? '') ?? asked.viewer.accountId;
  const isForm = request.method === 'POST';
  const told = async (outcome: string, more: { readonly detail?: Readonly<Record<string, unknown>> } = {}) => {
    // A look at oneself is in no audit, unless an operator looks as the person.
    if (!isForm && accountId === asked.viewer.accountId && !asked.viewer.standing) return;
    const line = { accountId, act: preview.audit, detail: { ...more.detail, outcome } };
    await auditAsked(database, request.id, asked, [line]);
  };
  if (isForm && !isFromPage) {
    await told('not_from_this_page');
    return tellInFrame(reply, 403, language, tellings.notFromHere);
  }
  try {
    const found = await preview.show(asked);
    if (!found) {
      if (isForm) await told('not_found');
      return tellInFrame(reply, 404, language, tellings.notFound);
    }
    await told(found.shown.isRefused ? 'refused' : 'done', found.audited);
    return sendPreview(reply, 200, language, found.shown);
  } catch (error) {
    const isPassing = error instanceof TooSlow || describeDatabaseError(error) instanceof ExpectedError;
    await told('failed');
    if (!isPassing) throw error;
    return tellInFrame(reply, 503, language, tellings.notNow);
  }
}
