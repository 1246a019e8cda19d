// The languages of sign-in, portal and refusals, and the choice of a request. The console is English.
import { join } from 'node:path';
import type { FastifyRequest } from 'fastify';
import { chooseLanguage, type Language, readLanguages, type Texts } from './language.ts';
import type { language as english } from './languages/en.ts';

export type WebLanguage = Language & Texts<Pick<typeof english, 'texts'>>;

/** Returns the languages of the web, English first. */
export function readWebLanguages(): Promise<WebLanguage[]> {
  return readLanguages<WebLanguage>(join(import.meta.dirname, 'languages'));
}

/** The cookie that keeps the language of `?lang` for the pages after it. */
export const languageCookie = 'entra-sync-language';

/** Returns the language of `?lang`, else the one that was chosen before, else the one that the browser asks for. */
export function languageOf<One extends Language>(languages: readonly One[], request: FastifyRequest): One {
  // An address that is malformed has neither query nor cookies: nothing reads them before it is refused.
  const { query, cookies, headers } = request as { query: { lang?: unknown } | null } & Partial<FastifyRequest>;
  const words = [query?.lang, cookies?.[languageCookie], headers?.['accept-language']];
  return chooseLanguage(languages, words.filter((one) => typeof one === 'string').join(','));
}

/** Returns the tag of a language that `?lang` names, or undefined. */
export function chosenTag(languages: readonly Language[], { query }: FastifyRequest): string | undefined {
  const { lang } = query as { lang?: unknown };
  return languages.find(({ tag }) => tag === lang)?.tag;
}
