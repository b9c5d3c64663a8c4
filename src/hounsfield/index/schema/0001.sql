-- The index. One SQL for SQLite and PostgreSQL, but for a few words: `{bytes}`, `{id}` for a key that the database
-- gives, `{sequence}` for one that is never given again, `{clustered}` for a table ordered by its key.
--
-- public_id is the 20 bytes of the SHA-1 behind a public id: they sort as the public ids do.
-- main_tags holds the main DICOM tags of the level as JSON, {"0010,0020": "..."}; what is searched
-- often has a column of its own. Columns ending in _key are normalised for searching: accents
-- removed, upper case, trimmed. Sequences among the main tags are JSON in main_sequences.
-- Dates are YYYYMMDDTHHMMSS in UTC; *_ns are nanoseconds since 1970.

CREATE TABLE main_tags_versions (
    id {id},
    patient TEXT NOT NULL,
    study TEXT NOT NULL,
    series TEXT NOT NULL,
    instance TEXT NOT NULL,
    UNIQUE (patient, study, series, instance)
);

CREATE TABLE patients (
    id {id},
    public_id {bytes} NOT NULL UNIQUE,
    main_tags TEXT NOT NULL,
    main_sequences TEXT,
    main_tags_version INTEGER NOT NULL,
    patient_id_key TEXT NOT NULL,
    patient_name_key TEXT NOT NULL,
    patient_birth_date TEXT NOT NULL,
    last_update TEXT NOT NULL,
    received_ns INTEGER NOT NULL,
    is_stable INTEGER NOT NULL,
    is_protected INTEGER NOT NULL,
    unprotected_ns INTEGER NOT NULL
);
CREATE INDEX patients_by_patient_id ON patients (patient_id_key);
CREATE INDEX patients_by_patient_name ON patients (patient_name_key);
CREATE INDEX patients_unstable ON patients (id) WHERE is_stable = 0;

CREATE TABLE studies (
    id {id},
    public_id {bytes} NOT NULL UNIQUE,
    patient INTEGER NOT NULL REFERENCES patients (id),
    main_tags TEXT NOT NULL,
    patient_tags TEXT NOT NULL,
    main_sequences TEXT,
    main_tags_version INTEGER NOT NULL,
    study_instance_uid TEXT NOT NULL,
    patient_id_key TEXT NOT NULL,
    patient_name_key TEXT NOT NULL,
    patient_birth_date TEXT NOT NULL,
    accession_number_key TEXT NOT NULL,
    study_description_key TEXT NOT NULL,
    study_date TEXT NOT NULL,
    last_update TEXT NOT NULL,
    received_ns INTEGER NOT NULL,
    is_stable INTEGER NOT NULL
);
CREATE INDEX studies_by_patient ON studies (patient);
CREATE INDEX studies_by_uid ON studies (study_instance_uid);
CREATE INDEX studies_by_patient_id ON studies (patient_id_key);
CREATE INDEX studies_by_patient_name ON studies (patient_name_key);
CREATE INDEX studies_by_accession_number ON studies (accession_number_key);
CREATE INDEX studies_by_date ON studies (study_date);
CREATE INDEX studies_by_last_update ON studies (last_update);
CREATE INDEX studies_unstable ON studies (id) WHERE is_stable = 0;

CREATE TABLE series (
    id {id},
    public_id {bytes} NOT NULL UNIQUE,
    study INTEGER NOT NULL REFERENCES studies (id),
    main_tags TEXT NOT NULL,
    main_sequences TEXT,
    main_tags_version INTEGER NOT NULL,
    series_instance_uid TEXT NOT NULL,
    modality TEXT NOT NULL,
    expected_instances INTEGER,
    remote_aet TEXT NOT NULL,
    last_update TEXT NOT NULL,
    received_ns INTEGER NOT NULL,
    is_stable INTEGER NOT NULL
);
CREATE INDEX series_by_study ON series (study, modality);
CREATE INDEX series_by_uid ON series (series_instance_uid);
CREATE INDEX series_unstable ON series (id) WHERE is_stable = 0;

CREATE TABLE instances (
    id {id},
    public_id {bytes} NOT NULL UNIQUE,
    series INTEGER NOT NULL REFERENCES series (id),
    main_tags TEXT NOT NULL,
    main_sequences TEXT,
    main_tags_version INTEGER NOT NULL,
    sop_instance_uid TEXT NOT NULL,
    sop_class_uid TEXT NOT NULL,
    transfer_syntax_uid TEXT NOT NULL,
    index_in_series TEXT,
    pixel_data_offset INTEGER,
    pixel_data_vr TEXT,
    reception_date TEXT NOT NULL,
    origin TEXT NOT NULL,
    remote_aet TEXT NOT NULL,
    called_aet TEXT NOT NULL,
    remote_ip TEXT NOT NULL,
    http_username TEXT NOT NULL
);
CREATE INDEX instances_by_series ON instances (series);
CREATE INDEX instances_by_uid ON instances (sop_instance_uid);

-- level: 0 patient, 1 study, 2 series, 3 instance; type as Orthanc numbers them; an MD5 that was not
-- computed yet is NULL.
CREATE TABLE attachments (
    level INTEGER NOT NULL,
    resource INTEGER NOT NULL,
    type INTEGER NOT NULL,
    uuid TEXT NOT NULL,
    size INTEGER NOT NULL,
    stored_size INTEGER NOT NULL,
    compression INTEGER NOT NULL,
    md5 TEXT,
    stored_md5 TEXT,
    revision INTEGER NOT NULL,
    PRIMARY KEY (level, resource, type)
) {clustered};
CREATE INDEX attachments_by_uuid ON attachments (uuid);

-- What the system sets has columns; these are the users' own metadata and the rare system ones.
CREATE TABLE metadata (
    level INTEGER NOT NULL,
    resource INTEGER NOT NULL,
    type INTEGER NOT NULL,
    value TEXT NOT NULL,
    revision INTEGER NOT NULL,
    PRIMARY KEY (level, resource, type)
) {clustered};

CREATE TABLE labels (
    level INTEGER NOT NULL,
    resource INTEGER NOT NULL,
    label TEXT NOT NULL,
    PRIMARY KEY (level, resource, label)
) {clustered};
CREATE INDEX labels_by_label ON labels (label, level, resource);

-- Numbers are given by the writer, from totals.last_change, and never again.
CREATE TABLE changes (
    seq INTEGER PRIMARY KEY,
    type INTEGER NOT NULL,
    level INTEGER NOT NULL,
    resource INTEGER NOT NULL,
    public_id {bytes} NOT NULL,
    date TEXT NOT NULL
);
CREATE INDEX changes_by_resource ON changes (level, resource);

CREATE TABLE exports (
    seq {sequence},
    level INTEGER NOT NULL,
    public_id TEXT NOT NULL,
    remote_modality TEXT NOT NULL,
    date TEXT NOT NULL,
    patient_id TEXT NOT NULL,
    study_instance_uid TEXT NOT NULL,
    series_instance_uid TEXT NOT NULL,
    sop_instance_uid TEXT NOT NULL
);

CREATE TABLE global_properties (
    property INTEGER PRIMARY KEY,
    value TEXT NOT NULL
);

-- One row.
CREATE TABLE totals (
    patients INTEGER NOT NULL,
    studies INTEGER NOT NULL,
    series INTEGER NOT NULL,
    instances INTEGER NOT NULL,
    size INTEGER NOT NULL,
    stored_size INTEGER NOT NULL,
    last_change INTEGER NOT NULL,
    synchronisations INTEGER NOT NULL
);
INSERT INTO totals VALUES (0, 0, 0, 0, 0, 0, 0, 0);

-- Files whose rows are gone: deleted from the storage area once that is durable.
CREATE TABLE deleted_files (
    uuid TEXT PRIMARY KEY
) {clustered};
