// Metrics of photos: what this worker read, and how the lanes of all tenants stand.
import { Counter, Gauge, type Registry } from 'prom-client';
import type { PhotosReport } from '../engine/photos.ts';
import type { Database } from '../store/database/pool.ts';
import { type PhotoSums, sumPhotos } from '../store/photos/state.ts';

export type PhotoGauges = {
  onPhotos(report: PhotosReport): void;
  /** Reads how the lanes stand. */
  read(database: Database): Promise<PhotoSums>;
  /** Shows it; undefined: the database did not answer, and nothing is shown. */
  set(sums: PhotoSums | undefined): void;
};

export function openPhotoGauges(registry: Registry, prefix: string): PhotoGauges {
  const registers = [registry];
  const read = new Counter({
    name: `${prefix}photos_read_total`,
    help: 'Photos that this worker asked for, by what came: photo, none, fault (set aside).',
    labelNames: ['outcome'],
    registers,
  });
  const due = new Gauge({
    name: `${prefix}photos_due`,
    help: 'Photos that were due when their lanes last counted, less those read since.',
    registers,
  });
  const faults = new Gauge({
    name: `${prefix}photo_faults`,
    help: 'Photos that are set aside.',
    registers,
  });
  const troubled = new Gauge({
    name: `${prefix}photo_tenants_failing`,
    help: 'Tenants whose photos cannot be read: the permission is missing, or reading them failed.',
    registers,
  });
  const gauges = { due, faults, troubled };
  for (const gauge of Object.values(gauges)) gauge.remove();
  return {
    onPhotos: ({ photos, none, faults: aside }) => {
      read.inc({ outcome: 'photo' }, photos);
      read.inc({ outcome: 'none' }, none);
      read.inc({ outcome: 'fault' }, aside);
    },
    read: sumPhotos,
    set: (sums) => {
      for (const gauge of Object.values(gauges)) gauge.remove();
      if (!sums) return;
      due.set(sums.due);
      faults.set(sums.faults);
      troubled.set(sums.troubled);
    },
  };
}
