/** What the REST API answers, as far as the pages use it. */

export type Tags = Record<string, string | undefined>;
export type Level = "Patient" | "Study" | "Series" | "Instance";

export interface Study {
  ID: string;
  Type: "Study";
  ParentPatient: string;
  Series: string[];
  MainDicomTags: Tags;
  PatientMainDicomTags: Tags;
  RequestedTags?: Tags;
  IsStable: boolean;
  LastUpdate: string;
  Labels?: string[];
}

export interface Series {
  ID: string;
  Type: "Series";
  ParentStudy: string;
  Instances: string[];
  MainDicomTags: Tags;
  IsStable: boolean;
  LastUpdate: string;
  Status: string;
}

export interface Instance {
  ID: string;
  Type: "Instance";
  ParentSeries: string;
  MainDicomTags: Tags;
  FileSize: number;
  IndexInSeries: number | null;
}

export interface System {
  Name: string;
  Version: string;
  ApiVersion: number;
  DicomAet: string;
  ReadOnly?: boolean;
}

export interface Statistics {
  CountPatients: number;
  CountStudies: number;
  CountSeries: number;
  CountInstances: number;
  TotalDiskSize: string;
}

export interface ResourceStatistics {
  DiskSize: string;
  CountSeries?: number;
  CountInstances?: number;
}

export interface Change {
  Seq: number;
  ChangeType: string;
  ResourceType: Level;
  ID: string;
}

export interface Changes {
  Changes: Change[];
  Done: boolean;
  Last: number;
}

/** One answer of `POST /instances`; a ZIP gives an array of them. */
export interface Stored {
  ID?: string;
  Status: "Success" | "AlreadyStored" | "FilteredOut" | "Failure" | "StorageFull";
  ParentStudy?: string;
}

/** One entry of `GET /instances/{id}/tags`. */
export interface FullTag {
  Name: string;
  PrivateCreator?: string;
  Type: "String" | "Sequence" | "Null" | "TooLong" | "Binary" | "None";
  Value: string | FullTags[] | null;
}
export type FullTags = { [tag: string]: FullTag };

/** One value of `GET /instances/{id}/simplified-tags`. */
export type SimpleValue = string | null | SimpleTags[];
export type SimpleTags = { [keyword: string]: SimpleValue };

/** One entry of `GET /forwarding`: what waits for a modality or a peer. Moments are `20261120T131512.204118`, in UTC. */
export interface Queue {
  Kind: "modality" | "peer";
  Name: string;
  Path: string;
  Target: string | null;
  State: "Idle" | "Waiting" | "Sending" | "Retrying" | "Paused" | "Held";
  Reason: string;
  Waiting: number;
  Held: number;
  Failed: number;
  Sent: number;
  Oldest: string | null;
  NextAttempt: string | null;
  LastFailure: { Time: string; Reason: string } | null;
  LastSuccess: string | null;
}
