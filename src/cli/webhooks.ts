// Webhooks, and addresses that are told of troubles, as people name them.
import { ExpectedError } from '../errors.ts';
import type { Database } from '../store/database/pool.ts';
import { type ListedWebhook, listWebhooks } from '../store/webhooks/webhooks.ts';

/** The verb: `webhook` for the change feed, `notify` for notices of troubles. */
export type WebhookNoun = 'webhook' | 'notify';

/** Returns the verb that is about a row. */
export const nounOf = ({ form }: Pick<ListedWebhook, 'form'>): WebhookNoun =>
  form === 'changes' ? 'webhook' : 'notify';

/** Returns a test of which rows a verb is about. */
export const isOf = (noun: WebhookNoun) => (one: ListedWebhook) => nounOf(one) === noun;

/** Returns the row with this id, beginning of an id, or address. Throws `unknown_name` for none and for several. */
export async function pickWebhook(database: Database, noun: WebhookNoun, word: string): Promise<ListedWebhook> {
  const all = (await listWebhooks(database)).filter(isOf(noun));
  const meant = word.trim().toLowerCase();
  const byId = meant.length < 4 ? [] : all.filter((one) => one.webhook_id.startsWith(meant));
  // A contact is given without `mailto:`, so it is found without it too.
  const found =
    byId.length > 0 ? byId : all.filter(({ url }) => url === word.trim() || url.toLowerCase() === `mailto:${meant}`);
  const [first, second] = found;
  if (first && !second) return first;
  const name = JSON.stringify(word.slice(0, 80));
  const [one, many] = noun === 'webhook' ? ['webhook', 'webhooks'] : ['address of notices', 'addresses of notices'];
  throw new ExpectedError(
    'unknown_name',
    second ? `${found.length} ${many} are called ${name}` : `no ${one} is called ${name}`,
    { cure: `entra-sync ${noun} list shows them with their ids` },
  );
}
