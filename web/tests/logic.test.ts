import { describe, expect, it } from "vitest";
import { explain } from "../src/api/errors";
import type { Instance } from "../src/api/types";
import { describeRange, formatRange, parseRange, shortcuts } from "../src/dicom/dates";
import { ageAt, formatDate, formatName, formatSize, formatText, formatTime } from "../src/dicom/format";
import { formatMoment, isTroubled } from "../src/forwarding/state";
import { flatten, matching } from "../src/dicom/tagTree";
import { fromAddress, isTooShort, NEWEST_FIRST, nextOrder, toAddress, toQuery, toWildcards } from "../src/studies/filters";
import { outcomeOf } from "../src/upload/outcome";
import { aspectOf, fit, HOME, zoomed } from "../src/viewer/camera";
import { parseNpy, spanOf } from "../src/viewer/npy";
import { greys } from "../src/viewer/paint";
import { edgesOf } from "../src/viewer/orientation";
import { framesOf, sortInstances } from "../src/viewer/stack";
import { dragged, windowsOf } from "../src/viewer/window";

describe("values as people read them", () => {
  it("shows names as family, given", () => {
    expect(formatName("DUBOIS^ANNE-MARIE")).toBe("DUBOIS, Anne-Marie");
    expect(formatName("van den Berg^Jan^^Dr")).toBe("VAN DEN BERG, Dr Jan");
    expect(formatName("Yamada^Tarou=山田^太郎=やまだ^たろう")).toBe("YAMADA, Tarou (山田, 太郎, やまだ, たろう)");
    expect(formatName("^^^^")).toBe("");
    expect(formatName(undefined)).toBe("");
    expect(formatName("ID^AB")).toBe("ID, AB");
  });

  it("keeps a date it does not understand", () => {
    expect(formatDate("20060131")).toBe("2006-01-31");
    expect(formatDate("2006.01.31")).toBe("2006-01-31");
    expect(formatDate("sometime")).toBe("sometime");
    expect(formatTime("101112.5")).toBe("10:11");
    expect(formatText("THORAX^ROUTINE  (Adult)")).toBe("THORAX ROUTINE (Adult)");
  });

  it("counts sizes and years", () => {
    expect([formatSize(0), formatSize(999), formatSize(526836), formatSize(1.25e9)]).toEqual(["0 B", "999 B", "527 KB", "1.3 GB"]);
    expect(ageAt("19500101", "20051231")).toBe("55 y");
    expect(ageAt("19500101", "")).toBe("");
  });
});

describe("search", () => {
  it("puts wildcards where there are no quotes", () => {
    expect(toWildcards("abc")).toBe("*abc*");
    expect(toWildcards('"abc"')).toBe("abc");
    expect(toWildcards('"abc')).toBe("abc*");
    expect(toWildcards('abc"')).toBe("*abc");
    expect(toWildcards('"')).toBe("");
    expect(toWildcards("dubois, an", true)).toBe("*dubois*^*an*");
    expect(toWildcards('"dubois, anne"', true)).toBe("dubois^anne");
  });

  it("waits for three characters, unless the whole value is given", () => {
    expect(["", "ab", '"ab', "abc", '"1"'].map(isTooShort)).toEqual([false, true, true, false, false]);
  });

  it("keeps identifiers, dates and modalities without wildcards", () => {
    const tags = { PatientName: "dub", StudyDate: "20240101-", ModalitiesInStudy: "CR\\CT", StudyInstanceUID: '"1.2.3"', PatientID: "" };
    expect(toQuery({ tags, order: [] })).toEqual({
      PatientName: "*dub*",
      StudyDate: "20240101-",
      ModalitiesInStudy: "CR\\CT",
      StudyInstanceUID: "1.2.3",
    });
  });

  it("reads from the address what it wrote there", () => {
    const filters = { tags: { PatientName: 'a&b="é', StudyDate: "20240101-20240131" }, order: nextOrder(NEWEST_FIRST, "PatientName") };
    expect(fromAddress(toAddress(filters).replace("filtered-studies", ""))).toEqual(filters);
    expect(toAddress({ tags: { PatientID: "" }, order: NEWEST_FIRST })).toBe("");
    expect(fromAddress("?order-by=nonsense&lower=1")).toEqual({ tags: {}, order: NEWEST_FIRST });
  });

  it("turns a column's order round, then leaves it", () => {
    const up = nextOrder(NEWEST_FIRST, "PatientName");
    const down = nextOrder(up, "PatientName");
    expect([up[0]!.Direction, down[0]!.Direction, nextOrder(down, "PatientName")]).toEqual(["ASC", "DESC", NEWEST_FIRST]);
    expect(nextOrder(NEWEST_FIRST, "StudyDate").map(({ Key, Direction }) => `${Key} ${Direction}`)).toEqual(["StudyDate DESC", "StudyTime DESC"]);
  });

  it("writes ranges of dates as DICOM does", () => {
    for (const range of ["20240101-20240131", "20240101-", "-20240131", "20240101"]) expect(formatRange(parseRange(range))).toBe(range);
    expect(describeRange("-20240131")).toBe("until 2024-01-31");
    const sunday = new Date(2024, 2, 31);
    expect(Object.fromEntries(shortcuts(sunday).map(({ label, range }) => [label, formatRange(range)]))).toMatchObject({
      Today: "20240331",
      "Last week": "20240318-20240324",
      "Last month": "20240201-20240229",
    });
  });
});

const instance = (ID: string, tags: Record<string, string>): Instance => ({ ID, Type: "Instance", ParentSeries: "s", MainDicomTags: tags, FileSize: 1, IndexInSeries: null });

describe("the stack", () => {
  it("goes by instance number, and by position when numbers repeat", () => {
    const numbered = ["10", "9", "1"].map((n) => instance(n, { InstanceNumber: n }));
    expect(sortInstances(numbered).map(({ ID }) => ID)).toEqual(["1", "9", "10"]);
    const placed = [30, 10, 20].map((z) => instance(String(z), { InstanceNumber: "1", ImagePositionPatient: `0\\0\\${z}`, ImageOrientationPatient: "1\\0\\0\\0\\1\\0" }));
    expect(sortInstances(placed).map(({ ID }) => ID)).toEqual(["10", "20", "30"]);
  });

  it("unfolds frames", () => {
    const frames = framesOf([instance("a", { NumberOfFrames: "2" }), instance("b", { NumberOfFrames: "x" })]);
    expect(frames.map((frame) => `${frame.instance.ID}${frame.number}/${frame.of}`)).toEqual(["a0/2", "a1/2", "b0/1"]);
  });

  it("names the edges of the image", () => {
    expect(edgesOf("1\\0\\0\\0\\1\\0")).toEqual({ left: "R", right: "L", top: "A", bottom: "P" });
    expect(edgesOf("0\\1\\0\\0\\0\\-1")).toEqual({ left: "A", right: "P", top: "H", bottom: "F" });
    expect(edgesOf("", "A\\FR")).toEqual({ left: "P", right: "A", top: "HL", bottom: "FR" });
    expect(edgesOf("")).toBeUndefined();
  });
});

describe("windows", () => {
  it("are read from the data set or its functional groups", () => {
    expect(windowsOf({ WindowCenter: "40\\-600", WindowWidth: "400\\1200" }, 0).map(({ center, width }) => [center, width])).toEqual([[40, 400], [-600, 1200]]);
    const groups = [{}, { FrameVOILUTSequence: [{ WindowCenter: "5", WindowWidth: "9" }] }];
    expect(windowsOf({ PerFrameFunctionalGroupsSequence: groups }, 1)[0]).toMatchObject({ center: 5, width: 9 });
    expect(windowsOf({ PerFrameFunctionalGroupsSequence: groups }, 0)).toEqual([]);
    expect(windowsOf({ WindowCenter: "x", WindowWidth: "" }, 0)).toEqual([]);
  });

  it("follow the drag and never close", () => {
    expect(dragged({ center: 40, width: 300 }, 10, -5)).toEqual({ center: 35, width: 310 });
    expect(dragged({ center: 40, width: 300 }, -900, 0).width).toBe(1);
  });

  it("are found in the values of an array", () => {
    const header = "{'descr': '<f4', 'fortran_order': False, 'shape': (2, 2, 1), }".padEnd(117) + "\n";
    const file = new Uint8Array(10 + header.length + 16);
    file.set([0x93, 0x4e, 0x55, 0x4d, 0x50, 0x59, 1, 0, header.length, 0]);
    file.set(new TextEncoder().encode(header), 10);
    file.set(new Uint8Array(new Float32Array([-1000, 0, 5, 3000]).buffer), 10 + header.length);
    const grid = parseNpy(file.buffer);
    expect(grid.shape).toEqual([2, 2, 1]);
    expect(spanOf(grid)).toEqual({ center: 1000, width: 4000 });
    expect(() => parseNpy(new ArrayBuffer(20))).toThrow();
  });
});

describe("the camera", () => {
  it("keeps the point under the pointer", () => {
    const next = zoomed(HOME, 2, 30, -10);
    expect(next).toEqual({ zoom: 2, x: -30, y: 10 });
    expect(fit({ width: 100, height: 100 }, { width: 400, height: 100 }, 2)).toBe(0.5);
    expect([aspectOf("2\\1", ""), aspectOf("", "4\\3"), aspectOf("0\\0", ""), aspectOf("", "")]).toEqual([2, 4 / 3, 1, 1]);
  });
});

describe("answers of the server", () => {
  it("are told in words", () => {
    expect(explain(400, '{"Message":"Bad request","Details":"why"}')).toBe("Bad request: why");
    expect(explain(507, "")).toBe("The server's storage is full.");
    expect(explain(418, "<html>")).toContain("418");
  });

  it("say what became of a file or of an archive", () => {
    expect(outcomeOf(200, '{"Status":"Success","ParentStudy":"a"}')).toMatchObject({ fate: "stored", stored: 1, studies: ["a"] });
    expect(outcomeOf(200, '[{"Status":"Success","ParentStudy":"a"},{"Status":"AlreadyStored","ParentStudy":"a"}]')).toMatchObject({ stored: 1, known: 1, studies: ["a"] });
    expect(outcomeOf(200, "[]")).toMatchObject({ fate: "refused", reason: "No DICOM file inside." });
    expect(outcomeOf(200, '{"Status":"FilteredOut","ParentStudy":"a"}')).toMatchObject({ fate: "refused", studies: [] });
    expect(outcomeOf(200, "<html>").fate).toBe("failed");
    expect(outcomeOf(400, "{}").fate).toBe("refused");
    expect([outcomeOf(0, "").fate, outcomeOf(503, "").fate]).toEqual(["failed", "failed"]);
  });
});

describe("tags", () => {
  const rows = flatten({
    "0010,0010": { Name: "PatientName", Type: "String", Value: "A^B" },
    "0008,1115": { Name: "ReferencedSeriesSequence", Type: "Sequence", Value: [{ "0020,000e": { Name: "SeriesInstanceUID", Type: "String", Value: "1.2" } }] },
    "7fe0,0010": { Name: "PixelData", Type: "Null", Value: null },
  });

  it("unfold into rows", () => {
    expect(rows.map(({ name, parents }) => `${parents.length} ${name}`)).toEqual(["0 ReferencedSeriesSequence", "1 Item 1", "2 SeriesInstanceUID", "0 PatientName", "0 PixelData"]);
  });

  it("are found by number, name or value, with what they are inside of", () => {
    expect(matching(rows, "1.2").map(({ name }) => name)).toEqual(["ReferencedSeriesSequence", "Item 1", "SeriesInstanceUID"]);
    expect(matching(rows, "(0010,0010)").map(({ name }) => name)).toEqual(["PatientName"]);
    expect(matching(rows, "nothing")).toEqual([]);
  });
});

describe("painting", () => {
  const grid = { shape: [1, 4, 1], values: new Float32Array([-500, -100, 40, 900]) };

  it("follows the window, and turns round for MONOCHROME1", () => {
    const red = (isWhiteLow: boolean) => [...greys(grid, { center: 40, width: 400 }, isWhiteLow)].filter((_, i) => i % 4 === 0);
    expect(red(false)).toEqual([0, 38, 127, 255]);
    expect(red(true)).toEqual([255, 217, 128, 0]);
  });
});

describe("queues", () => {
  it("shows moments as they are here", () => {
    const moment = new Date(Date.UTC(2026, 10, 20, 13, 15, 12));
    expect(formatMoment("20261120T131512.204118")).toContain(String(moment.getFullYear()));
    expect(new Date(formatMoment("20261120T131512.204118").replace(" ", "T"))).toEqual(moment);
    expect(formatMoment(null)).toBe("");
  });

  it("calls for help when something does not arrive", () => {
    const queue = {
      Kind: "peer", Name: "a", Path: "/forwarding/peers/a", Target: "b", State: "Waiting", Reason: "", Waiting: 1, Held: 0,
      Failed: 0, Sent: 0, Oldest: null, NextAttempt: null, LastFailure: null, LastSuccess: null,
    } as const;
    expect(isTroubled(queue)).toBe(false);
    expect([{ ...queue, State: "Retrying" as const }, { ...queue, Failed: 1 }, { ...queue, Held: 1 }].map(isTroubled)).toEqual([true, true, true]);
  });
});
