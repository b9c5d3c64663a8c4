"""The door as an extension: all its services but storage and verification, which are always there."""

from hounsfield.host import Host
from hounsfield.remote.commitment import PUSH_MODEL
from hounsfield.remote.network import Network
from hounsfield.scp import query, retrieve
from hounsfield.scp.commitment import SubmitCommitment, commitment_service
from hounsfield.scp.query import QueryOptions, query_service
from hounsfield.scp.retrieve import RetrieveOptions, get_service, move_service


def extend(
    host: Host,
    network: Network,
    queries: QueryOptions,
    retrieval: RetrieveOptions,
    submit_commitment: SubmitCommitment,
) -> None:
    """Add the services to a host."""
    finds = query_service(host.archive, queries, host.find_filters)
    moves, gets = move_service(network, retrieval), get_service(network, retrieval)
    host.services.update(
        {
            query.PATIENT_ROOT_FIND: finds,
            query.STUDY_ROOT_FIND: finds,
            query.PATIENT_STUDY_ONLY_FIND: finds,
            retrieve.PATIENT_ROOT_MOVE: moves,
            retrieve.STUDY_ROOT_MOVE: moves,
            retrieve.PATIENT_STUDY_ONLY_MOVE: moves,
            retrieve.PATIENT_ROOT_GET: gets,
            retrieve.STUDY_ROOT_GET: gets,
            retrieve.PATIENT_STUDY_ONLY_GET: gets,
            PUSH_MODEL: commitment_service(network, submit_commitment),
        }
    )
