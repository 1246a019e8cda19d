// Rule 13 on the real program: TLS is verified, redirects are followed nowhere, at sign-in and at Graph.
import { describe, expect, type onTestFinished, test } from 'vitest';
import { createTenant, type Intervention, startSimulator } from '../../../src/simulator/index.ts';
import { certificateFor, trustFile } from '../../support/certificates.ts';
import { expectOneLine, runProcess, temporaryDirectory } from '../../support/cli.ts';
import { isDeep, rowsOf } from '../../support/deep.ts';
import { failureOf, isDeltaRequest, openWorld, trust, type World } from '../../support/system.ts';

async function worldOf(onEnd: typeof onTestFinished) {
  const world = await openWorld({ users: 3, onEnd });
  const environment = { ...world.simulator.environment(), DATABASE_URL: world.url };
  return { world, environment, directory: await temporaryDirectory(onEnd) };
}

const isTokenRequest = (path: string) => path.includes('/oauth2/v2.0/token');
const asked = (world: World, which: (path: string) => boolean) =>
  world.simulator.requests.filter(({ path }) => which(path)).length;

const badCertificates = [
  { what: 'is not trusted', host: 'localhost', days: 10, trusted: false, says: /is not trusted .*NODE_EXTRA_CA_CERTS/ },
  { what: 'has expired', host: 'localhost', days: -3, trusted: true, says: /has expired .*clock/ },
  { what: 'is another host’s', host: 'graph.example', days: 10, trusted: true, says: /another host .*GRAPH_BASE_URL/ },
];

describe.concurrent('rule 13: TLS is verified', () => {
  const atFirst = rowsOf(badCertificates, (_, n) => n === 0);

  test.for(atFirst)('a certificate that $what, from the start', async (bad, { onTestFinished }) => {
    const { world, environment, directory } = await worldOf(onTestFinished);
    const certificate = await certificateFor(bad.host, bad.days);
    world.simulator.presentCertificate(certificate);
    const extra = await trustFile(directory, world.simulator.certificate, ...(bad.trusted ? [certificate.cert] : []));
    const ended = await runProcess(['sync'], { ...environment, NODE_EXTRA_CA_CERTS: extra });
    expectOneLine(ended, 5, bad.says);
    expect(world.simulator.requests, 'what was sent in spite of it').toEqual([]);
  });

  const later = rowsOf(badCertificates, (_, n) => n === 2);

  test.for(later)('one that $what, after the sign-in', async (bad, { onTestFinished }) => {
    const { world, environment, directory } = await worldOf(onTestFinished);
    const certificate = await certificateFor(bad.host, bad.days);
    let shown = false;
    world.simulator.intercept(({ url }) => {
      // After the first request, the count or a page, no request may follow.
      if (shown || isTokenRequest(url) || !url.startsWith('/v1.0/')) return undefined;
      shown = true;
      world.simulator.presentCertificate(certificate);
      world.simulator.cutConnections();
      world.simulator.clearRequests();
      return { destroy: true };
    });
    const extra = await trustFile(directory, world.simulator.certificate, ...(bad.trusted ? [certificate.cert] : []));
    const ended = await runProcess(['sync'], { ...environment, NODE_EXTRA_CA_CERTS: extra });
    expectOneLine(ended, 5, bad.says);
    expect(shown).toBe(true);
    expect(asked(world, isTokenRequest) + asked(world, isDeltaRequest), 'what was sent in spite of it').toBe(0);
  });

  test.runIf(isDeep)('one that NODE_EXTRA_CA_CERTS names is accepted', async ({ onTestFinished }) => {
    const { world, environment, directory } = await worldOf(onTestFinished);
    const own = await certificateFor('localhost');
    world.simulator.presentCertificate(own);
    const ended = await runProcess(['sync'], {
      ...environment,
      NODE_EXTRA_CA_CERTS: await trustFile(directory, own.cert),
    });
    expect(ended).toMatchObject({ code: 0 });
  });
});

describe('rule 13: a redirect is followed nowhere', () => {
  test.for(
    [301, 302, 303, 307, 308].flatMap((status) =>
      ['another host', 'the same host'].map((where) => ({ status, where })),
    ),
  )('$status of Graph, to $where', async ({ status, where }, { onTestFinished }) => {
    const { world } = await worldOf(onTestFinished);
    const thief = await startSimulator({ tenants: [createTenant({ seed: 2, users: 1 })] });
    trust(thief.certificate);
    const goal = `${where === 'another host' ? thief.origin : world.simulator.origin}/v1.0/stolen`;
    world.simulator.intercept(({ url }) =>
      url.includes('/delta') ? { status, headers: { Location: goal }, body: '' } : undefined,
    );
    expect(await failureOf(world.cycle())).toMatchObject({ code: 'graph_answer_invalid' });
    expect(thief.requests).toEqual([]);
    expect(asked(world, (path) => path.includes('stolen'))).toBe(0);
    await thief.close();
  });

  test.for(
    [301, 302, 303, 307, 308].flatMap((status) =>
      ['another host', 'the same host'].map((where) => ({ status, where })),
    ),
  )(
    '$status of the token endpoint, to $where: the secret goes nowhere',
    async ({ status, where }, { onTestFinished }) => {
      const { world } = await worldOf(onTestFinished);
      const thief = await startSimulator({ tenants: [createTenant({ seed: 2, users: 1 })] });
      trust(thief.certificate);
      const goal = `${where === 'another host' ? thief.origin : world.simulator.origin}/stolen`;
      const answer: Intervention = { status, headers: { Location: goal }, body: '' };
      world.simulator.intercept(({ url }) => (isTokenRequest(url) ? answer : undefined));
      const { code } = await failureOf(world.cycle());
      expect(['sign_in_failed', 'graph_unavailable']).toContain(code);
      expect(thief.requests).toEqual([]);
      expect(asked(world, (path) => path.includes('stolen'))).toBe(0);
      await thief.close();
    },
  );
});
