-- Searches by date are answered from the index alone.

DROP INDEX studies_by_date;
CREATE INDEX studies_by_date ON studies (study_date, public_id);
