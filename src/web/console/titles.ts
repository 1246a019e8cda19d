// The titles of a tenant's slots and items, which rules and changes name by id.
import { listTitles } from '../../store/accounts/assignment-lists.ts';
import type { Database, Transaction } from '../../store/database/pool.ts';

export type Titles = {
  /** Returns the title of a slot, or its name. */
  slot(slot: string): string;
  /** Returns the title of an item, or its id. */
  item(slot: string, item: string): string;
};

const keyOf = (slot: string, item: string | null) => JSON.stringify([slot, item]);

/** Reads the titles; those of the tenant stand before those of all tenants. */
export async function titlesOf(on: Database | Transaction, tenantId: string): Promise<Titles> {
  const found = await listTitles(on, tenantId);
  const titles = new Map(found.map((one) => [keyOf(one.slot, one.item), one.title]));
  return {
    slot: (slot) => titles.get(keyOf(slot, null)) ?? slot,
    item: (slot, item) => titles.get(keyOf(slot, item)) ?? item,
  };
}

/** Returns a value of a change of assigned items with the titles of the items; another value as it is. */
export const titled = (value: unknown, slot: string, titles: Titles): unknown =>
  Array.isArray(value) ? value.map((item) => (typeof item === 'string' ? titles.item(slot, item) : item)) : value;
