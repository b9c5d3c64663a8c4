"""The door as an extension: all its services but storage and verification, which are always there."""

from hounsfield.host import Host
from hounsfield.scp.query import (
    PATIENT_ROOT_FIND,
    PATIENT_STUDY_ONLY_FIND,
    STUDY_ROOT_FIND,
    QueryOptions,
    query_service,
)


def extend(host: Host, options: QueryOptions) -> None:
    """Add the services to a host."""
    query = query_service(host.archive, options, host.find_filters)
    for uid in (PATIENT_ROOT_FIND, STUDY_ROOT_FIND, PATIENT_STUDY_ONLY_FIND):
        host.services[uid] = query
