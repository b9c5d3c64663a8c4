/** The columns of the study list. */

export interface Column {
  key: string;
  title: string;
  kind: "text" | "date" | "modalities" | "counts";
  isSortable: boolean;
  hint: string;
}

const column = (key: string, title: string, kind: Column["kind"], hint = ""): Column => ({
  key,
  title,
  kind,
  isSortable: kind === "text" || kind === "date",
  hint,
});

export const COLUMNS: Column[] = [
  column("PatientBirthDate", "Birth date", "date"),
  column("PatientName", "Patient name", "text", "Family, given"),
  column("PatientID", "Patient ID", "text", "ID"),
  column("StudyDescription", "Description", "text", "Words"),
  column("StudyDate", "Study date", "date"),
  column("ModalitiesInStudy", "Modalities", "modalities"),
  column("AccessionNumber", "Accession", "text", "Number"),
  column("counts", "Series / images", "counts"),
];
