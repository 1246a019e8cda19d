// The simulated tenant: a truth to edit, and a Microsoft Graph with a token endpoint that shows it over TLS.
export type { Account } from './entra/accounts.ts';
export type { PhotoFault } from './graph/photos.ts';
export { type Intercept, type InterceptedRequest, type Intervention, type Transform, throttled } from './intercept.ts';
export { exactNumber, showInPart, showOdd } from './oddities.ts';
export type { SimulatorOptions, SimulatorSettings } from './options.ts';
export { type RecordedRequest, type Simulator, startSimulator } from './simulator.ts';
export { createTenant, type Group, type Tenant, type TenantOptions, type User } from './tenant/tenant.ts';
