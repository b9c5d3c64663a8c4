"""What the section `Worklists` says, as the options of the rooms that do it."""

from dataclasses import dataclass
from pathlib import Path

from hounsfield.config.configuration import Configuration
from hounsfield.scp.worklist import WorklistOptions
from hounsfield.worklist.housekeeping import HousekeepingOptions


@dataclass(frozen=True, slots=True)
class WorklistSettings:
    """Where the worklist is kept, and how it is answered and cleaned. `folder` None stands for the index."""

    folder: Path | None
    sets_study_uid: bool
    deletes_completed: bool
    options: WorklistOptions
    housekeeping: HousekeepingOptions


def read_worklists(configuration: Configuration) -> WorklistSettings | None:
    """The settings; None if there is no worklist."""
    section = configuration.mapping("Worklists")
    if section.get("Enable") is not True:
        return None

    def boolean(name: str, *, default: bool) -> bool:
        return section.get(name, default) is True

    def number(name: str, default: int) -> int:
        value = section.get(name, default)
        return value if isinstance(value, int) else default

    folder = section.get("Directory") or section.get("Database")
    return WorklistSettings(
        folder=(configuration.base_folder / folder).absolute()
        if isinstance(folder, str) and folder
        else None,
        sets_study_uid=boolean("SetStudyInstanceUidIfMissing", default=True),
        deletes_completed=boolean("DeleteWorklistsOnCompletedStep", default=False),
        options=WorklistOptions(
            default_encoding=configuration.text("DefaultEncoding"),
            is_name_case_sensitive=configuration.boolean("CaseSensitivePN"),
            filters_by_station=boolean("FilterIssuerAet", default=False),
            maximum_answers=number("LimitAnswers", 0),
            logs_ids=boolean("LogMatchedWorklistIds", default=False),
        ),
        housekeeping=HousekeepingOptions(
            deletes_stable_studies=boolean("DeleteWorklistsOnStableStudy", default=True),
            maximum_age_hours=number("DeleteWorklistsDelay", 0),
            interval_seconds=number("HousekeepingInterval", 60),
        ),
    )
