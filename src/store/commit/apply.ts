// The part of a commit that differs between streams.
import type { Stream } from '../../rules/streams.ts';
import type { Apply } from './bindings.ts';
import { applyGroups } from './groups.ts';
import { applyUsers } from './users.ts';

/** Applies the staged rows, by stream. */
export const apply: Readonly<Record<Stream, Apply>> = { users: applyUsers, groups: applyGroups };
