/** What became of one file that was sent. */

import { explain } from "../api/errors";
import type { Stored } from "../api/types";

export type Fate = "stored" | "known" | "refused" | "failed";

export interface Outcome {
  fate: Fate;
  /** Instances stored, and instances the server had already: a ZIP brings many. */
  stored: number;
  known: number;
  studies: string[];
  reason: string;
}

const REASONS: Partial<Record<Stored["Status"], string>> = {
  FilteredOut: "The server's rules refuse it.",
  Failure: "The server could not store it.",
  StorageFull: "The server's storage is full.",
};

/** Read the answer of `POST /instances`: an object for a file, an array of them for a ZIP. */
export function outcomeOf(status: number, body: string): Outcome {
  if (status !== 200) {
    // Only what may pass by itself is worth another try: no answer, too busy, a gateway's trouble.
    const isPassing = status === 0 || status === 429 || status === 502 || status === 503 || status === 504;
    const reason = status === 400 && body.includes("invalid DICOM") ? "Not a DICOM file." : explain(status, body);
    return { fate: isPassing ? "failed" : "refused", stored: 0, known: 0, studies: [], reason };
  }
  const answers = parse(body);
  if (!answers) return { fate: "failed", stored: 0, known: 0, studies: [], reason: "The answer is not the server's own." };
  const stored = answers.filter(({ Status }) => Status === "Success").length;
  const known = answers.filter(({ Status }) => Status === "AlreadyStored").length;
  const refused = answers.find(({ Status }) => Status !== "Success" && Status !== "AlreadyStored");
  const kept = answers.filter((answer) => answer !== refused && answer.ParentStudy !== undefined);
  const studies = [...new Set(kept.map(({ ParentStudy }) => ParentStudy!))];
  const fate = stored > 0 ? "stored" : known > 0 ? "known" : "refused";
  const reason = refused ? (REASONS[refused.Status] ?? "") : answers.length === 0 ? "No DICOM file inside." : "";
  return { fate, stored, known, studies, reason };
}

/** A gateway between may answer a page of its own with a status that says all is well. */
function parse(body: string): Stored[] | undefined {
  try {
    return ([] as Stored[]).concat(JSON.parse(body) as Stored | Stored[]);
  } catch {
    return undefined;
  }
}
