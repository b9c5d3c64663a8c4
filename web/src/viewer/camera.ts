/** Where an image lies on the screen: zoom and shift in CSS pixels, apart from any drawing. */

import { SEPARATOR } from "../dicom/format";

export interface Camera {
  /** 1 shows the whole image. */
  zoom: number;
  x: number;
  y: number;
}

export interface Size {
  width: number;
  height: number;
}

export const HOME: Camera = { zoom: 1, x: 0, y: 0 };

/** CSS pixels for one image column at zoom 1, for an image whose pixels are `aspect` times as high as wide. */
export function fit(image: Size, screen: Size, aspect: number): number {
  return Math.min(screen.width / image.width, screen.height / (image.height * aspect));
}

/** Zoom by a factor while the point under the pointer (from the screen's centre) stays where it is. */
export function zoomed(camera: Camera, factor: number, px: number, py: number): Camera {
  const zoom = Math.min(40, Math.max(0.2, camera.zoom * factor));
  const k = zoom / camera.zoom;
  return { zoom, x: px - (px - camera.x) * k, y: py - (py - camera.y) * k };
}

/** Row spacing over column spacing: how much higher than wide a pixel is, PS3.3 10.7.1.3. */
export function aspectOf(spacing: string | undefined, ratio: string | undefined): number {
  const parts = (spacing || ratio || "").split(SEPARATOR).map(Number);
  const [vertical = 1, horizontal = 1] = parts;
  const aspect = vertical / horizontal;
  return Number.isFinite(aspect) && aspect > 0.05 && aspect < 20 ? aspect : 1;
}
