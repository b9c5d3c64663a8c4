/** The order of a series' images. */

import type { Instance, Tags } from "../api/types";
import { SEPARATOR } from "../dicom/format";

export interface Frame {
  instance: Instance;
  /** Number of the frame in the REST API, from 0. */
  number: number;
  /** How many frames its instance has. */
  of: number;
}

type Vector = [number, number, number];

export function numbers(value: string | undefined): number[] {
  return (value ?? "").split(SEPARATOR).filter((part) => part.trim() !== "").map(Number).filter(Number.isFinite);
}

/** Direction across the slices: the cross product of the row and column directions, PS3.3 C.7.6.2.1.1. */
export function normalOf(tags: Tags): Vector | undefined {
  const v = numbers(tags.ImageOrientationPatient);
  if (v.length !== 6) return undefined;
  const [a, b, c, d, e, f] = v as [number, number, number, number, number, number];
  return [b * f - c * e, c * d - a * f, a * e - b * d];
}

const dot = (a: number[], b: number[]) => a.reduce((sum, value, i) => sum + value * (b[i] ?? 0), 0);

/** Position along the normal of the first slice for all instances, when they are parallel and all differ. */
function positions(instances: Instance[]): Map<string, number> | undefined {
  const normal = instances[0] && normalOf(instances[0].MainDicomTags);
  if (!normal || instances.length < 2) return undefined;
  const found = new Map<string, number>();
  for (const { ID, MainDicomTags } of instances) {
    const position = numbers(MainDicomTags.ImagePositionPatient);
    const own = normalOf(MainDicomTags);
    if (position.length !== 3 || !own || Math.abs(dot(own, normal)) < 0.99) return undefined;
    found.set(ID, dot(position, normal));
  }
  const distinct = new Set([...found.values()].map((value) => value.toFixed(3)));
  return distinct.size === instances.length ? found : undefined;
}

const numberOf = (instance: Instance) => {
  const value = Number(instance.MainDicomTags.InstanceNumber ?? instance.IndexInSeries ?? Number.NaN);
  return Number.isFinite(value) ? value : Number.MAX_SAFE_INTEGER;
};

/**
 * Instances in the order to leaf through them: by Instance Number when those all differ, for that is the order
 * the modality chose; else by position in space; else as they came.
 */
export function sortInstances(instances: Instance[]): Instance[] {
  const hasNumbers = new Set(instances.map(numberOf)).size === instances.length;
  const places = hasNumbers ? undefined : positions(instances);
  const key = places ? (i: Instance) => places.get(i.ID) ?? 0 : numberOf;
  return instances.toSorted((a, b) => key(a) - key(b) || (a.IndexInSeries ?? 0) - (b.IndexInSeries ?? 0) || a.ID.localeCompare(b.ID));
}

/** All frames of a series, one after the other. */
export function framesOf(instances: Instance[]): Frame[] {
  return sortInstances(instances).flatMap((instance) => {
    const of = Math.max(1, Math.trunc(Number(instance.MainDicomTags.NumberOfFrames ?? 1)) || 1);
    return Array.from({ length: of }, (_, number) => ({ instance, number, of }));
  });
}
