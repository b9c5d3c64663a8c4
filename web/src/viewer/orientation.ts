/** The letters at an image's edges: which way the patient lies. */

import { numbers } from "./stack";

const LETTERS: [positive: string, negative: string][] = [
  ["L", "R"],
  ["P", "A"],
  ["H", "F"],
];

/** A direction in the patient's system (LPS) as up to two letters, the strongest first, PS3.3 C.7.6.1.1.1. */
export function letters(direction: number[]): string {
  return direction
    .map((value, axis) => ({ size: Math.abs(value), letter: LETTERS[axis]![value > 0 ? 0 : 1] }))
    .filter(({ size }) => size > 0.3)
    .toSorted((a, b) => b.size - a.size)
    .slice(0, 2)
    .map(({ letter }) => letter)
    .join("");
}

export interface Edges {
  left: string;
  right: string;
  top: string;
  bottom: string;
}

/** The four edges from Image Orientation (Patient) (0020,0037), or else from Patient Orientation (0020,0020). */
export function edgesOf(imageOrientation: string, patientOrientation = ""): Edges | undefined {
  const v = numbers(imageOrientation);
  if (v.length === 6) {
    const [row, column] = [v.slice(0, 3), v.slice(3)];
    const opposite = (direction: number[]) => letters(direction.map((value) => -value));
    return { left: opposite(row), right: letters(row), top: opposite(column), bottom: letters(column) };
  }
  const [right, bottom] = patientOrientation.split("\\");
  if (!right || !bottom) return undefined;
  return { left: flip(right), right, top: flip(bottom), bottom };
}

const OPPOSITES: Record<string, string> = { L: "R", R: "L", A: "P", P: "A", H: "F", F: "H" };

const flip = (text: string) => [...text].map((letter) => OPPOSITES[letter] ?? letter).join("");
