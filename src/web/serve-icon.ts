// Answers the icon that browsers ask for by themselves and show on the tab.
import type { FastifyInstance } from 'fastify';

// Two halves of a circle: the directory and its copy.
const icon = `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 32 32"><rect width="32" height="32" rx="7" fill="#0b5cad"/><path d="M15 6a10 10 0 0 0 0 20z" fill="#fff"/><path d="M17 6a10 10 0 0 1 0 20z" fill="#9cc3ec"/></svg>`;

/** Adds the route of the icon. */
export function serveIcon(app: FastifyInstance, headers: Readonly<Record<string, string>>): void {
  app.get('/favicon.ico', async (_request, reply) =>
    reply
      .headers({ ...headers, 'cache-control': 'public, max-age=86400' })
      .type('image/svg+xml')
      .send(icon),
  );
}
