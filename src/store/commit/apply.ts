// The part of a commit that differs between streams, by stream.
import type { Stream } from '../../rules/streams.ts';
import type { Apply } from './bindings.ts';
import { applyGroups } from './groups.ts';
import { applyUsers } from './users.ts';

/** Makes the staged rows of a stream the truth. */
export const apply: Readonly<Record<Stream, Apply>> = { users: applyUsers, groups: applyGroups };
