/** Draws values through a window in the browser, so that a window follows the hand without waiting for the server. */

import type { Grid } from "./npy";
import type { Window } from "./window";

/**
 * Grey levels of values, in the server's way: black at the window's lower end and white at its upper one, the
 * other way round for MONOCHROME1. The result is RGBA.
 */
export function greys({ values }: Grid, { center, width }: Window, isWhiteLow: boolean): Uint8ClampedArray<ArrayBuffer> {
  const pixels = new Uint32Array(values.length);
  const low = center - width / 2;
  const scale = 255 / Math.max(width, 1);
  for (let i = 0; i < values.length; i += 1) {
    let level = Math.trunc((values[i]! - low) * scale);
    level = level < 0 ? 0 : level > 255 ? 255 : level;
    if (isWhiteLow) level = 255 - level;
    pixels[i] = 0xff000000 | (level * 0x010101);
  }
  return new Uint8ClampedArray(pixels.buffer);
}

/** Paint a frame on a canvas of its own size; false when the grid is not one of a grey frame. */
export function paint(canvas: OffscreenCanvas, grid: Grid, window: Window, isWhiteLow: boolean): boolean {
  const [rows = 0, columns = 0, samples = 1] = grid.shape;
  if (samples !== 1 || rows * columns !== grid.values.length) return false;
  canvas.width = columns;
  canvas.height = rows;
  canvas.getContext("2d")?.putImageData(new ImageData(greys(grid, window, isWhiteLow), columns, rows), 0, 0);
  return true;
}
