-- The CRC-32 of each stored file, from the moment it came in, so that `hounsfield verify` notices any change.
-- NULL where it was not known.

ALTER TABLE attachments ADD COLUMN stored_crc32 INTEGER;
