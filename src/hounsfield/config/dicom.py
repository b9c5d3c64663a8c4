"""What the DICOM services are told of a configuration, as provider and as user."""

from hounsfield.config import records
from hounsfield.config.configuration import Configuration
from hounsfield.ingest.receive import Intake
from hounsfield.scp.query import QueryOptions


def query_options(configuration: Configuration, intake: Intake) -> QueryOptions:
    """The options of C-FIND as provider."""
    return QueryOptions(
        ae_title=records.dicom_server(configuration).ae_title,
        default_encoding=configuration.text("DefaultEncoding"),
        is_name_case_sensitive=configuration.boolean("CaseSensitivePN"),
        maximum_results=configuration.integer("LimitFindResults"),
        maximum_instances=configuration.integer("LimitFindInstances"),
        storage_access=configuration.text("StorageAccessOnFind"),
        main_tags=intake.options.main_tags,
        main_tags_version=intake.main_tags_version,
    )
