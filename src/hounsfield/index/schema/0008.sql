-- What is asked for by its age is found by an index, however much there is: what may be stable by now, and the patient
-- to be recycled next. So are the series of a modality.

DROP INDEX patients_unstable;
CREATE INDEX patients_unstable ON patients (received_ns) WHERE is_stable = 0;
DROP INDEX studies_unstable;
CREATE INDEX studies_unstable ON studies (received_ns) WHERE is_stable = 0;
DROP INDEX series_unstable;
CREATE INDEX series_unstable ON series (received_ns) WHERE is_stable = 0;

CREATE INDEX patients_by_age
    ON patients ((CASE WHEN received_ns > unprotected_ns THEN received_ns ELSE unprotected_ns END), id)
    WHERE is_protected = 0;

CREATE INDEX series_by_modality ON series (modality);

-- The log of changes, but for new instances, which are nearly all of it.
CREATE INDEX changes_by_type ON changes (type, seq) WHERE type <> 2;
