// The message that a webhook is sent: ids, by choice the names of the changed fields, by choice their values.
import type { Told, ToldChange } from '../rules/webhooks.ts';

type Message = { readonly webhookId: string; readonly at: Date };

/** Returns the body of a lot of changes. The same lot has the same body whenever it is sent. */
export function changesBody({ webhookId, at }: Message, told: Told, changes: readonly ToldChange[]): string {
  return JSON.stringify({
    type: 'directory.changes',
    timestamp: at.toISOString(),
    data: { webhook_id: webhookId, changes: changes.map((change) => toldOf(change, told)) },
  });
}

/** Returns the body that says that changes were lost: the receiver reads the views again. */
export const resetBody = ({ webhookId, at }: Message) =>
  JSON.stringify({ type: 'feed.reset', timestamp: at.toISOString(), data: { webhook_id: webhookId } });

/** Returns the body of `webhook test`. */
export const testBody = ({ webhookId, at }: Message) =>
  JSON.stringify({ type: 'webhook.test', timestamp: at.toISOString(), data: { webhook_id: webhookId } });

function toldOf(change: ToldChange, told: Told) {
  const { before, after, actor, ...ids } = change;
  if (told === 'none') return ids;
  const fields = [...new Set([...namesOf(before), ...namesOf(after)])].sort();
  return told === 'names' ? { ...ids, fields } : { ...ids, actor, fields, before, after };
}

function namesOf(facts: unknown): string[] {
  if (typeof facts !== 'object' || facts === null) return [];
  const { profile, directory, ...others } = facts as Record<string, object | undefined>;
  const within = (part: string, values: object | undefined) =>
    Object.keys(values ?? {}).map((name) => `${part}.${name}`);
  return [...Object.keys(others), ...within('profile', profile), ...within('directory', directory)];
}
