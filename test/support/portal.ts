// The portal in this process: its pages over a test's database, as a tenant-bound role, and people who are signed in.

import { portalFrame } from '../../src/web/portal/frame.ts';
import { portalPages, portalStartOf } from '../../src/web/portal/pages.ts';
import type { PagesOptions } from '../../src/web/serve-pages.ts';
import { type EditStore, openEditStore } from './people-edit.ts';
import { serveOn, type Web, type WebBrowser } from './web.ts';

export type Portal = Web & {
  readonly store: EditStore;
  /** The role that the portal takes. */
  readonly role: string;
  /** Returns a browser in which the user with this object id is signed in. */
  person(tenantId: string, objectId: string): Promise<WebBrowser>;
};

/** Starts the portal over a database of its own. */
export async function openPortal(more: Partial<PagesOptions> = {}): Promise<Portal> {
  const store = await openEditStore();
  const { role } = await store.application({ grant: 'tenant-bound' });
  const parts = { frame: portalFrame, start: portalStartOf, contractRole: role };
  const web = await serveOn(store.database, portalPages, { ...parts, ...more });
  return {
    ...web,
    ...{ store, role },
    person: (tenantId, objectId) => web.browser({ tenantId, objectId, actor: `entra:${tenantId}/${objectId}` }),
    close: async () => {
      await web.close();
      await store.close();
    },
  };
}
