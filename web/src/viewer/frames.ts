/** Loads the pictures of frames, as few at a time as keeps the one in view fast. */

import { send } from "../api/client";
import { ApiError } from "../api/errors";
import type { Frame } from "./stack";
import type { Window } from "./window";

/** How the server shall draw a frame. */
export interface Look {
  /** A window chosen by the reader; the one stored in the file when absent. */
  window?: Window | undefined;
  /** Spread the values that occur over all greys: for images that name no window. */
  isStretched: boolean;
  /** Width in pixels to draw at, 0 for the frame's own. */
  width: number;
}

/** Address of a frame's picture, relative to the REST API's root. */
export function pictureOf(frame: Frame, look: Look): string {
  const address = `instances/${frame.instance.ID}/frames/${frame.number}`;
  if (look.isStretched && !look.window) return `${address}/preview`;
  const search = new URLSearchParams();
  if (look.window) {
    search.set("window-center", String(look.window.center));
    search.set("window-width", String(look.window.width));
  }
  if (look.width > 0) {
    search.set("width", String(look.width));
    search.set("smooth", "true");
  }
  const text = search.toString();
  return `${address}/rendered${text ? `?${text}` : ""}`;
}

interface Entry {
  picture: Promise<ImageBitmap>;
  bitmap?: ImageBitmap;
  abort: AbortController;
  isDone: boolean;
}

const MAX_BYTES = 256e6;
const MAX_PREFETCHES = 3;

/**
 * Pictures by address, the least recently used forgotten first. The picture in view is asked for at once; its
 * neighbours wait their turn and are given up when the reader moves elsewhere.
 */
export class FrameLoader {
  private readonly entries = new Map<string, Entry>();
  private queue: string[] = [];
  private underWay = 0;
  private bytes = 0;

  /** The picture when it is here already. */
  peek(address: string): ImageBitmap | undefined {
    return this.entries.get(address)?.bitmap;
  }

  load(address: string): Promise<ImageBitmap> {
    const known = this.entries.get(address);
    if (known) {
      this.entries.delete(address);
      this.entries.set(address, known);
      return known.picture;
    }
    const abort = new AbortController();
    const entry: Entry = { picture: download(address, abort.signal), abort, isDone: false };
    this.entries.set(address, entry);
    entry.picture.then(
      (bitmap) => this.keep(address, entry, bitmap),
      () => this.entries.get(address) === entry && this.entries.delete(address),
    );
    return entry.picture;
  }

  /** Say which pictures will probably be wanted next, the likeliest first; what was asked before is dropped. */
  prefetch(addresses: string[]): void {
    this.queue = addresses.filter((address) => !this.entries.has(address));
    this.pump();
  }

  /** Give up everything. */
  close(): void {
    this.queue = [];
    for (const entry of this.entries.values()) {
      entry.abort.abort();
      entry.bitmap?.close();
    }
    this.entries.clear();
    this.bytes = 0;
  }

  private pump(): void {
    while (this.underWay < MAX_PREFETCHES) {
      const address = this.queue.shift();
      if (address === undefined) return;
      if (this.entries.has(address)) continue;
      this.underWay += 1;
      const next = () => {
        this.underWay -= 1;
        this.pump();
      };
      this.load(address).then(next, next);
    }
  }

  private keep(address: string, entry: Entry, bitmap: ImageBitmap): void {
    if (this.entries.get(address) !== entry) return bitmap.close();
    entry.bitmap = bitmap;
    entry.isDone = true;
    this.bytes += sizeOf(bitmap);
    for (const [old, { bitmap: picture, isDone }] of this.entries) {
      if (this.bytes <= MAX_BYTES || old === address) break;
      if (!isDone || !picture) continue;
      // Not closed: it may be the one on the screen; the collector frees it.
      this.bytes -= sizeOf(picture);
      this.entries.delete(old);
    }
  }
}

const sizeOf = (bitmap: ImageBitmap) => bitmap.width * bitmap.height * 4;

async function download(address: string, signal: AbortSignal): Promise<ImageBitmap> {
  try {
    const answer = await send(address, { signal, headers: { Accept: "image/png" } });
    return await createImageBitmap(await answer.blob(), { colorSpaceConversion: "none" });
  } catch (error) {
    if (error instanceof ApiError && (error.status === 415 || error.status === 404)) {
      throw new ApiError("There is no picture of this instance: it holds no image, or one that cannot be decoded.", error.status);
    }
    throw error;
  }
}
