// The page for a request whose answer failed: it says so, and tries again where that does no harm.
import type { FastifyReply, FastifyRequest } from 'fastify';
import { ExpectedError } from '../errors.ts';
import type { Log } from '../logger.ts';
import { describeDatabaseError } from '../store/database/pool.ts';
import { TooSlow } from '../store/database/reading.ts';
import type { Answers } from './answers.ts';
import type { HeldForm } from './held-form.ts';
import { placesOf, tooMany } from './part.ts';
import { tellings } from './tellings.ts';

/** The seconds after which a browser asks again. */
const againSeconds = 10;

/**
 * Returns the handler of errors. `isPage`: the request may be made again by itself; an address of the entrance is good
 * once, and a form must not be sent twice. `heldIn`: the form of the request, if a page of ours has sent one.
 */
export function answerErrors(options: {
  readonly log: Log;
  readonly tell: Answers['tell'];
  readonly isPage: (request: FastifyRequest) => boolean;
  readonly heldIn: (request: FastifyRequest) => HeldForm | undefined;
}): (error: Error & { statusCode?: number }, request: FastifyRequest, reply: FastifyReply) => FastifyReply {
  const { log, tell, isPage, heldIn } = options;
  const notNow = (request: FastifyRequest, reply: FastifyReply) => {
    const again = isPage(request);
    if (again) reply.header('refresh', String(againSeconds));
    const seconds = again ? againSeconds : undefined;
    const form = { isForm: request.method === 'POST', held: heldIn(request) };
    return tell(reply, 503, (language) => tellings.notNow(language, seconds, form));
  };
  return (error, request, reply) => {
    if (error.statusCode === 429) return tooMany(reply);
    if (error instanceof TooSlow) return notNow(request, reply);
    // Fastify itself refuses a body that is too large, or not a form.
    if (error.statusCode === 413) return tell(reply, 413, tellings.tooLarge);
    if (error.statusCode !== undefined && error.statusCode < 500)
      return tell(reply, error.statusCode, tellings.notUnderstood);
    const reference = request.id;
    const told = describeDatabaseError(error);
    if (told instanceof ExpectedError) {
      log.warn({ code: told.code, reference }, 'a request failed');
      return notNow(request, reply);
    }
    log.error({ name: error.name, stack: placesOf(error), reference }, 'a defect');
    return tell(reply, 500, (language) => tellings.defect(language, reference, heldIn(request)));
  };
}
