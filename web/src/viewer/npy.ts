/** Reads the arrays that `/instances/{id}/frames/{n}/numpy` gives. */

export interface Grid {
  shape: number[];
  values: Float32Array | Float64Array | Uint8Array | Int8Array | Uint16Array | Int16Array | Uint32Array | Int32Array;
}

const KINDS: Record<string, new (buffer: ArrayBuffer, offset: number, length: number) => Grid["values"]> = {
  f4: Float32Array,
  f8: Float64Array,
  u1: Uint8Array,
  i1: Int8Array,
  u2: Uint16Array,
  i2: Int16Array,
  u4: Uint32Array,
  i4: Int32Array,
};

/** Parse a `.npy` file of version 1 to 3 with numbers in little-endian order. */
export function parseNpy(file: ArrayBuffer): Grid {
  const view = new DataView(file);
  if (file.byteLength < 12 || view.getUint32(0) !== 0x934e554d) throw new Error("This is not a NumPy array.");
  const isLong = view.getUint8(6) > 1;
  const start = isLong ? 12 : 10;
  const length = isLong ? view.getUint32(8, true) : view.getUint16(8, true);
  const header = new TextDecoder("latin1").decode(new Uint8Array(file, start, length));
  const kind = /'descr':\s*'[<|]([a-z]\d)'/.exec(header)?.[1] ?? "";
  const shape = (/'shape':\s*\(([^)]*)\)/.exec(header)?.[1] ?? "").split(",").filter((part) => part.trim()).map(Number);
  const kindOf = KINDS[kind];
  if (!kindOf) throw new Error("This kind of NumPy array is not known.");
  const count = shape.reduce((product, side) => product * side, 1);
  return { shape, values: new kindOf(file, start + length, count) };
}

/** The window that spans all values of a grid. */
export function spanOf(grid: Grid): { center: number; width: number } {
  let low = Infinity;
  let high = -Infinity;
  for (const value of grid.values) {
    if (value < low) low = value;
    if (value > high) high = value;
  }
  if (!(low <= high)) return { center: 128, width: 256 };
  return { center: (low + high) / 2, width: Math.max(1, high - low) };
}
