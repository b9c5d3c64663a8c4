-- The header of each instance: everything before its pixel data but large values, so that any attribute can be
-- searched and answered without opening a file. It is compressed with what the instances of a series share, which
-- `header_references` holds once or a few times a series. NULL where it was not kept: the file has it.

CREATE TABLE header_references (
    id {sequence},
    series INTEGER NOT NULL,
    digest {bytes} NOT NULL,
    data {bytes} NOT NULL,
    UNIQUE (series, digest)
);

ALTER TABLE instances ADD COLUMN header {bytes};
ALTER TABLE instances ADD COLUMN header_reference INTEGER;
