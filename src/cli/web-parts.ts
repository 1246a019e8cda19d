// The pages behind a sign-in that one process serves: those of the console, of the portal, or both.
import type { Viewer } from '../web/access.ts';
import { consoleFrame } from '../web/console/frame.ts';
import { consolePages, startOf } from '../web/console/pages.ts';
import { portalFrame } from '../web/portal/frame.ts';
import { portalPages, portalStartOf } from '../web/portal/pages.ts';
import type { PagesOptions } from '../web/serve-pages.ts';

/** Returns the pages, their frame, and where a viewer starts: the console first, for those who have a page there. */
export function servedBy(parts: {
  readonly console: boolean;
  readonly portal: boolean;
}): Pick<PagesOptions, 'pages' | 'frame' | 'start'> {
  return {
    pages: [...(parts.console ? consolePages : []), ...(parts.portal ? portalPages : [])],
    frame: (view, content) =>
      view.path === '/console' || view.path.startsWith('/console/')
        ? consoleFrame(view, content)
        : portalFrame(view, content),
    start: (viewer: Viewer) =>
      (parts.console ? startOf(viewer) : undefined) ?? (parts.portal ? portalStartOf(viewer) : undefined),
  };
}
