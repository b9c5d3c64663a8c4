/** Windows: which modality values become black and white, PS3.3 C.11.2. */

import type { SimpleTags, SimpleValue } from "../api/types";
import { SEPARATOR } from "../dicom/format";

export interface Window {
  center: number;
  width: number;
}

export interface Preset extends Window {
  name: string;
}

/** Usual windows for CT, in Hounsfield units. */
export const CT_PRESETS: Preset[] = [
  { name: "Soft tissue", center: 40, width: 400 },
  { name: "Lung", center: -600, width: 1500 },
  { name: "Bone", center: 480, width: 2500 },
  { name: "Brain", center: 40, width: 80 },
  { name: "Mediastinum", center: 50, width: 350 },
  { name: "Liver", center: 60, width: 160 },
  { name: "Angiography", center: 300, width: 600 },
];

const text = (value: SimpleValue | undefined) => (typeof value === "string" ? value : "");
const items = (value: SimpleValue | undefined): SimpleTags[] => (Array.isArray(value) ? value : []);

/** The windows a data set names, for one of its frames (from 0). */
export function windowsOf(tags: SimpleTags, frame: number): Preset[] {
  const shared = items(tags.SharedFunctionalGroupsSequence)[0] ?? {};
  const own = items(tags.PerFrameFunctionalGroupsSequence)[frame] ?? {};
  const found = [tags, ...items(own.FrameVOILUTSequence), ...items(shared.FrameVOILUTSequence)].find((item) => item.WindowCenter);
  if (!found) return [];
  const centers = text(found.WindowCenter).split(SEPARATOR).map(Number);
  const widths = text(found.WindowWidth).split(SEPARATOR).map(Number);
  const names = text(found.WindowCenterWidthExplanation).split("\\");
  return centers
    .map((center, i) => ({ center, width: widths[i] ?? Number.NaN, name: names[i] || (i === 0 ? "As stored" : `As stored ${i + 1}`) }))
    .filter(({ center, width }) => Number.isFinite(center) && width >= 1);
}

/** Whether the pixels have one sample, so that a window means something. */
export function isGrey(tags: SimpleTags): boolean {
  return /^MONOCHROME/.test(text(tags.PhotometricInterpretation));
}

export function isPreset(window: Window | undefined, preset: Window): boolean {
  return window?.center === preset.center && window.width === preset.width;
}

/**
 * The window after a drag: to the right it grows wider, downwards its centre rises and the image darkens. The
 * step follows the width at the start, so that 10 000 wide and 2 wide windows are as easy to set.
 */
export function dragged(start: Window, dx: number, dy: number): Window {
  const step = Math.max(start.width, 1) / 300;
  const digits = start.width < 20 ? 2 : 0;
  const round = (value: number) => Number(value.toFixed(digits));
  return { center: round(start.center + dy * step), width: Math.max(1, round(start.width + dx * step)) };
}
