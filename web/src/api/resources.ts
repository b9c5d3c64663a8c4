/** The calls of the REST API that the pages make, one function each. */

import { getJson, postJson, send } from "./client";
import { ApiError } from "./errors";
import type { Changes, FullTags, Instance, Queue, ResourceStatistics, Series, SimpleTags, Statistics, Study, System, Tags } from "./types";
import { toQuery, type Filters } from "../studies/filters";

const REQUESTED_TAGS = ["ModalitiesInStudy", "NumberOfStudyRelatedSeries", "NumberOfStudyRelatedInstances"];

export type Kind = "studies" | "series" | "instances";

export const getSystem = () => getJson<System>("system");
export const getStatistics = () => getJson<Statistics>("statistics");
export const getLastChange = async () => (await getJson<Changes>("changes?last")).Last;
export const getChanges = (since: number) => getJson<Changes>(`changes?since=${since}&limit=200`);
export const getStudy = (id: string) => getJson<Study>(`studies/${id}?requested-tags=${REQUESTED_TAGS.join(";")}`);
export const getStudySeries = (id: string) => getJson<Series[]>(`studies/${id}/series`);
export const getSeries = (id: string) => getJson<Series>(`series/${id}`);
export const getSeriesInstances = (id: string) => getJson<Instance[]>(`series/${id}/instances`);
export const getInstance = (id: string) => getJson<Instance>(`instances/${id}`);
export const getTags = (id: string) => getJson<FullTags>(`instances/${id}/tags`);
export const getHeader = (id: string) => getJson<FullTags>(`instances/${id}/header`);
export const getSimplifiedTags = (id: string) => getJson<SimpleTags>(`instances/${id}/simplified-tags`);
export const getResourceStatistics = (kind: Kind, id: string) => getJson<ResourceStatistics>(`${kind}/${id}/statistics`);

export const getQueues = () => getJson<Queue[]>("forwarding");

export type QueueAction = "pause" | "resume" | "retry" | "redirect" | "purge";

/** Do something with a queue; how it is then. `what` is what is given up by a purge. */
export const changeQueue = (queue: Queue, action: QueueAction, what?: "Failed" | "Held" | "All") =>
  postJson<Queue>(`${queue.Path.slice(1).split("/").map(encodeURIComponent).join("/")}/${action}`, what ? { What: what } : {});

/** One page of the studies that match, in the order asked. */
export async function findStudies(filters: Filters, since: number, limit: number, signal?: AbortSignal): Promise<Study[]> {
  const body = {
    Level: "Study",
    Expand: true,
    Query: toQuery(filters),
    RequestedTags: REQUESTED_TAGS,
    OrderBy: filters.order,
  };
  try {
    return await postJson<Study[]>("tools/find", { ...body, Limit: limit, ...(since > 0 && { Since: since }) }, signal);
  } catch (error) {
    // Some servers refuse `Since` beside a constraint that their index does not hold; the page is then cut out here.
    if (!(error instanceof ApiError && error.status === 400 && since > 0)) throw error;
    return (await postJson<Study[]>("tools/find", { ...body, Limit: since + limit }, signal)).slice(since);
  }
}

/** How many studies match. */
export async function countStudies(filters: Filters, signal?: AbortSignal): Promise<number> {
  const body = { Level: "Study", Query: toQuery(filters) };
  return (await postJson<{ Count: number }>("tools/count-resources", body, signal)).Count;
}

/** Address of a small picture of the instance in the middle of a series, in the order of its numbers. */
export async function findThumbnail(series: Series): Promise<string> {
  const middle = Math.floor(series.Instances.length / 2);
  const fallback = series.Instances[middle];
  if (!fallback) return "";
  try {
    const [found] = await postJson<(Instance & { RequestedTags?: Tags })[]>("tools/find", {
      Level: "Instance",
      Expand: true,
      Query: {},
      ParentSeries: series.ID,
      OrderBy: [{ Type: "DicomTagAsInt", Key: "InstanceNumber", Direction: "ASC" }],
      RequestedTags: ["WindowCenter"],
      Since: middle,
      Limit: 1,
    });
    // Servers that do not know `ParentSeries` answer some other series' instance.
    if (found?.ParentSeries === series.ID) return thumbnailOf(found.ID, Boolean(found.RequestedTags?.WindowCenter));
  } catch {
    // A picture of some instance is better than none.
  }
  return thumbnailOf(fallback, false);
}

/** A window in the file shows an image better than its extreme values do, which metal and padding decide. */
function thumbnailOf(instance: string, hasWindow: boolean): string {
  return `instances/${instance}/${hasWindow ? "rendered?width=384&height=384&smooth=true" : "preview"}`;
}

/** Remove a resource and all below it. Returns the closest ancestor left, as a REST path, or an empty string. */
export async function remove(kind: Kind, id: string): Promise<string> {
  const answer = await send(`${kind}/${id}`, { method: "DELETE" });
  const { RemainingAncestor } = (await answer.json()) as { RemainingAncestor: { Path: string } | null };
  return RemainingAncestor?.Path ?? "";
}
