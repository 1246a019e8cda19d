// The overlays of deploy/kubernetes as a cluster gets them: rendered by Debian's kubectl, checked against the schemas of
// Kubernetes, and read as a whole: what one manifest names in another is there.
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { packageFile } from '../../../src/package-files.ts';
import { temporaryDirectory } from '../../support/cli.ts';
import { type Manifest, manifestsOf, problemsOf, render } from '../../support/kubernetes.ts';
import { programOf, requireSchemas } from '../../support/programs.ts';

const overlays = readdirSync(packageFile('deploy', 'kubernetes', 'overlays'));
const migration = manifestsOf(readFileSync(packageFile('deploy', 'kubernetes', 'migrate-job.yaml'), 'utf8'));

const rendered = new Map<string, Promise<Manifest[]>>();

/** Renders an overlay once. */
function overlayOf(name: string, skip: Parameters<typeof programOf>[1]): Promise<Manifest[]> {
  const kubectl = programOf('kubectl', skip);
  const manifests = rendered.get(name) ?? render(kubectl, packageFile('deploy', 'kubernetes', 'overlays', name));
  rendered.set(name, manifests);
  return manifests;
}

type Labels = Record<string, string>;
type Probe = { httpGet: { path: string; port: string } };
type Container = {
  image: string;
  args: string[];
  env: { name: string; value: string }[];
  ports?: { name: string; containerPort: number }[];
  volumeMounts: { name: string }[];
  startupProbe?: Probe;
  livenessProbe?: Probe;
  readinessProbe?: Probe;
};
type Pod = {
  metadata: { labels: Labels };
  spec: { serviceAccountName: string; containers: Container[]; volumes: { name: string }[] };
};

const kinds = (manifests: readonly Manifest[], kind: string) => manifests.filter((one) => one.kind === kind);
const named = (manifests: readonly Manifest[], kind: string) => kinds(manifests, kind).map((one) => one.metadata.name);

function podsOf(manifests: readonly Manifest[]): Pod[] {
  return manifests.flatMap(({ kind, spec }) => {
    if (kind === 'CronJob') return [(spec.jobTemplate as { spec: { template: Pod } }).spec.template];
    return kind === 'Deployment' || kind === 'Job' ? [spec.template as Pod] : [];
  });
}

const component = 'app.kubernetes.io/component';

test('the overlays and the migration fit the schemas of Kubernetes', async ({ skip, onTestFinished }) => {
  requireSchemas(skip);
  const manifests = (await Promise.all(overlays.map((name) => overlayOf(name, skip)))).flat();
  const folder = join(await temporaryDirectory(onTestFinished), 'manifests');
  expect(await problemsOf([...manifests, ...migration], folder)).toEqual([]);
});

test('a field that is misspelt, missing or of another type is a problem', async ({ skip, onTestFinished }) => {
  requireSchemas(skip);
  const manifests = await overlayOf('high-availability', skip);
  const spoilt = [
    ['Deployment', '"readinessProbe":', '"readinessProb":'],
    ['Deployment', '"replicas":3', '"replicas":"three"'],
    ['NetworkPolicy', '"egress":', '"egres":'],
    ['PodDisruptionBudget', '"maxUnavailable":1', '"maxUnavailable":{"most":1}'],
    ['PodMonitor', '"path":', '"pth":'],
    ['Ingress', '"pathType":"Prefix"', '"way":"Prefix"'],
    ['Ingress', ',"pathType":"Prefix"', ''],
  ].map(([kind, written = '', wrong = '']): Manifest => {
    const texts = kinds(manifests, kind ?? '').map((one) => JSON.stringify(one));
    const text = texts.find((one) => one.includes(written)) ?? expect.unreachable(`no ${kind} has ${written}`);
    return JSON.parse(text.replace(written, wrong));
  });
  const problems = await problemsOf(spoilt, join(await temporaryDirectory(onTestFinished), 'manifests'));
  const found = new Set(problems.map(({ index }) => index).filter((index) => !Number.isNaN(index)));
  expect([...found].sort()).toEqual([...spoilt.keys()]);
});

test.for(overlays)('the overlay %s is whole: whatever one manifest names is there', async (overlay, { skip }) => {
  const manifests = await overlayOf(overlay, skip);
  const pods = podsOf([...manifests, ...migration]);
  for (const { metadata, spec } of pods) {
    expect(named(manifests, 'ServiceAccount')).toContain(spec.serviceAccountName);
    const [container] = spec.containers;
    if (!container) expect.unreachable('a pod has a container');
    expect(container.image).toMatch(/^registry\.example\.com\/entra-sync:\d/);
    // An old kubectl that does not know a kind puts lists of a patch in place of those of the base.
    const names = container.env.map(({ name }) => name);
    expect(new Set(names).size).toBe(names.length);
    expect(names).toContain('DATABASE_URL_FILE');
    expect(container.args.length).toBeGreaterThan(0);
    expect(container.volumeMounts.map(({ name }) => name)).toEqual(spec.volumes.map(({ name }) => name));
    const ports = container.ports?.map(({ name }) => name) ?? [];
    for (const probe of [container.startupProbe, container.livenessProbe, container.readinessProbe])
      expect(probe === undefined, metadata.labels[component]).toBe(ports.length === 0);
    for (const probe of [container.startupProbe, container.livenessProbe, container.readinessProbe])
      if (probe) expect(ports).toContain(probe.httpGet.port);
    const sendsMail = metadata.labels[component] === 'worker' ? ['entra-sync-mail'] : [];
    expect(policiesOf(manifests, metadata.labels, 'Egress')).toEqual(['entra-sync', ...sendsMail]);
  }
  const has = (labels: Labels) => pods.some((pod) => fits(pod.metadata.labels, labels));
  for (const { spec } of kinds(manifests, 'PodDisruptionBudget'))
    expect(has((spec.selector as { matchLabels: Labels }).matchLabels)).toBe(true);
  for (const { spec } of kinds(manifests, 'Service')) expect(has(spec.selector as Labels)).toBe(true);
  for (const ingress of kinds(manifests, 'Ingress'))
    for (const [, service] of JSON.stringify(ingress).matchAll(/"service":\{"name":"([^"]+)"/g))
      expect(named(manifests, 'Service')).toContain(service);
  for (const { spec } of kinds(manifests, 'HorizontalPodAutoscaler'))
    expect(named(manifests, 'Deployment')).toContain((spec.scaleTargetRef as { name: string }).name);
  for (const { kind, metadata } of manifests)
    expect(metadata.namespace, `${kind} ${metadata.name}`).toBe(kind === 'Namespace' ? undefined : 'entra-sync');
});

test.for(overlays)('the overlay %s lets in what asks a port, and nothing else', async (overlay, { skip }) => {
  const manifests = await overlayOf(overlay, skip);
  for (const { metadata, spec } of podsOf(manifests)) {
    const ports = spec.containers.flatMap((one) => one.ports ?? []).map(({ containerPort }) => containerPort);
    const open = kinds(manifests, 'NetworkPolicy').flatMap((policy) =>
      selects(policy, metadata.labels)
        ? ((policy.spec.ingress ?? []) as { ports: { port: number }[] }[]).flatMap((rule) => rule.ports)
        : [],
    );
    const others = new Set([8080, 8081]);
    const reached = open.map(({ port }) => port).filter((port) => ports.includes(port) || !others.has(port));
    expect(reached.toSorted(), metadata.labels[component]).toEqual(ports.toSorted());
  }
});

const fits = (labels: Labels, wanted: Labels) =>
  Object.entries(wanted).every(([name, value]) => labels[name] === value);

type Selector = { matchLabels: Labels; matchExpressions?: { key: string; operator: string; values: string[] }[] };

function selects({ spec }: Manifest, labels: Labels): boolean {
  const { matchLabels, matchExpressions = [] } = spec.podSelector as Selector;
  for (const { operator } of matchExpressions) expect(operator).toBe('In');
  return fits(labels, matchLabels) && matchExpressions.every(({ key, values }) => values.includes(labels[key] ?? ''));
}

function policiesOf(manifests: readonly Manifest[], labels: Labels, type: string): (string | undefined)[] {
  return kinds(manifests, 'NetworkPolicy')
    .filter((policy) => (policy.spec.policyTypes as string[]).includes(type) && selects(policy, labels))
    .map(({ metadata }) => metadata.name);
}
