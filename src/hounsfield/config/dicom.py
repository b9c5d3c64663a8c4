"""What the DICOM services are told of a configuration, as provider and as user."""

import logging
from collections.abc import Sequence
from dataclasses import dataclass
from ssl import SSLContext

from hounsfield.archive import Archive
from hounsfield.config import records
from hounsfield.config.configuration import Configuration
from hounsfield.config.table.network import FORWARDING_MEMBERS
from hounsfield.dicom.levels import Level
from hounsfield.errors import BadRequest
from hounsfield.forwarding.options import ForwardingOptions
from hounsfield.hooks import OutgoingFindFilter, OutgoingStoreFilter
from hounsfield.index.sending import StoredInstance
from hounsfield.ingest.intake import Intake
from hounsfield.jobs.commitment import COMMITMENT_SCP, commitment_parameters
from hounsfield.jobs.engine import Engine
from hounsfield.jobs.store_scu import STORE_SCU, store_parameters
from hounsfield.net.agreement import Caller
from hounsfield.net.messages import Operation
from hounsfield.net.tls import PROTOCOL_VERSIONS, client_context
from hounsfield.remote.commitment import CommitmentReports, Reference
from hounsfield.remote.dialing import ScuOptions
from hounsfield.remote.directory import MODALITIES_PROPERTY, PEERS_PROPERTY, Directory, StoredDirectory
from hounsfield.remote.kept import KeptAssociations
from hounsfield.remote.modality import Modality, read_modality, write_modality
from hounsfield.remote.network import Network
from hounsfield.remote.peer import Peer, read_peer, write_peer
from hounsfield.remote.sender import Shipping
from hounsfield.remote.transfer import TransferOptions
from hounsfield.remote.web_client import WebOptions
from hounsfield.retrieve.files import map_attachment
from hounsfield.scp.acceptance import AcceptanceRules, KnownModality
from hounsfield.scp.commitment import SubmitCommitment
from hounsfield.scp.query import QueryOptions
from hounsfield.scp.retrieve import RetrieveOptions

_log = logging.getLogger("hounsfield.dicom")


def query_options(configuration: Configuration, intake: Intake) -> QueryOptions:
    """The options of C-FIND as provider."""
    return QueryOptions(
        ae_title=records.dicom_server(configuration).ae_title,
        settings=intake.options.settings,
        is_name_case_sensitive=configuration.boolean("CaseSensitivePN"),
        maximum_results=configuration.integer("LimitFindResults"),
        maximum_instances=configuration.integer("LimitFindInstances"),
        storage_access=configuration.text("StorageAccessOnFind"),
        main_tags=intake.options.main_tags,
        main_tags_version=intake.main_tags_version,
    )


def retrieve_options(configuration: Configuration, engine: Engine) -> RetrieveOptions:
    """The options of C-MOVE and C-GET as provider."""

    def submit(
        modality: Modality, ae_title: str, instances: Sequence[StoredInstance], originator: tuple[str, int]
    ) -> None:
        public_ids = [each.public_id for each in instances]
        resources = [{"ID": each, "Type": Level.INSTANCE.word} for each in public_ids]
        parameters = store_parameters(modality, ae_title, resources, public_ids, originator=originator)
        engine.submit(STORE_SCU, parameters, description="C-MOVE")

    return RetrieveOptions(
        default_encoding=configuration.text("DefaultEncoding"),
        submit=None if configuration.boolean("SynchronousCMove") else submit,
    )


@dataclass(frozen=True, slots=True)
class OutgoingFilters:
    """What may rewrite queries, and keep instances back."""

    find: Sequence[OutgoingFindFilter]
    store: Sequence[OutgoingStoreFilter]


def network(configuration: Configuration, archive: Archive, filters: OutgoingFilters) -> Network:
    """The other servers, and how they are spoken with."""
    shipping = Shipping(
        lambda instance: map_attachment(archive, instance.file),
        scu_options(configuration),
        filters.store,
        KeptAssociations(configuration.integer("DicomAssociationCloseDelay")),
    )
    modalities, peers = _modalities(configuration, archive), _peers(configuration, archive)
    reports = CommitmentReports(configuration.integer("StorageCommitmentReportsSize"))
    return Network(archive, shipping, modalities, peers, web_options(configuration), filters.find, reports)


def submit_commitment(engine: Engine) -> SubmitCommitment:
    """What is done with requests for storage commitment."""

    def submit(
        modality: Modality, transaction_uid: str, references: Sequence[Reference], caller: Caller
    ) -> None:
        parameters = commitment_parameters(
            modality,
            transaction_uid,
            references,
            remote_ip=caller.ip,
            called_ae_title=caller.called_ae_title,
        )
        engine.submit(COMMITMENT_SCP, parameters)

    return submit


def _modalities(configuration: Configuration, archive: Archive) -> Directory[Modality]:
    if not configuration.boolean("DicomModalitiesInDatabase"):
        return Directory("modality", records.modalities(configuration))
    return StoredDirectory("modality", archive.database, MODALITIES_PROPERTY, read_modality, write_modality)


def _peers(configuration: Configuration, archive: Archive) -> Directory[Peer]:
    if configuration.boolean("OrthancPeersInDatabase"):
        return StoredDirectory("peer", archive.database, PEERS_PROPERTY, read_peer, write_peer)
    entries = configuration.mapping("OrthancPeers")
    return Directory("peer", {name: read_peer(name, value) for name, value in entries.items()})


def web_options(configuration: Configuration) -> WebOptions:
    """The options of us as user of other HTTP servers."""
    return WebOptions(
        timeout_seconds=configuration.integer("HttpTimeout"),
        proxy=configuration.text("HttpProxy"),
        verifies_peers=configuration.boolean("HttpsVerifyPeers"),
        authorities=configuration.path("HttpsCACertificates"),
        is_verbose=configuration.boolean("HttpVerbose"),
    )


def transfer_options(configuration: Configuration) -> TransferOptions:
    """The options of transfers between peers, in the section `Transfers`."""
    section, usual = configuration.mapping("Transfers"), TransferOptions()

    def number(name: str, default: int) -> int:
        value = section.get(name)
        return value if isinstance(value, int) and not isinstance(value, bool) and value >= 0 else default

    return TransferOptions(
        threads=number("Threads", usual.threads) or usual.threads,
        bucket_size=(number("BucketSize", 0) << 10) or usual.bucket_size,
        max_pushes=number("MaxPushTransactions", usual.max_pushes),
        retries=number("MaxHttpRetries", usual.retries),
        commit_timeout_seconds=number("PeerCommitTimeout", usual.commit_timeout_seconds),
        connectivity_timeout_seconds=number("PeerConnectivityTimeout", usual.connectivity_timeout_seconds),
    )


def forwarding_options(configuration: Configuration, node: str) -> ForwardingOptions:
    """The options of store-and-forward, in the section `StoreAndForward`; `node` names who shares its index."""
    section = configuration.mapping("StoreAndForward")
    numbers = {member.name: member.default for member in FORWARDING_MEMBERS} | dict(section)

    def number(name: str) -> int:
        value = numbers[name]
        assert isinstance(value, int), name
        return value

    return ForwardingOptions(
        first_delay_seconds=number("FirstDelay"),
        maximum_delay_seconds=max(number("FirstDelay"), number("MaximumDelay")),
        maximum_attempts=number("MaximumAttempts"),
        maximum_age_seconds=number("MaximumAge") * 3600,
        concurrent=number("ConcurrentDestinations"),
        is_shared=bool(node),
        server=node,
    )


def scu_options(configuration: Configuration) -> ScuOptions:
    """The options of us as user of other servers."""
    server = records.dicom_server(configuration)
    return ScuOptions(
        ae_title=server.ae_title,
        timeout_seconds=configuration.integer("DicomScuTimeout"),
        maximum_pdu_length=server.maximum_pdu_length,
        preferred_transfer_syntax=configuration.text("DicomScuPreferredTransferSyntax"),
        is_transcoding=configuration.boolean("TranscodeDicomProtocol"),
        lossy_quality=configuration.integer("DicomLossyTranscodingQuality"),
        default_encoding=configuration.text("DefaultEncoding"),
        retrieve_method=configuration.text("DicomDefaultRetrieveMethod"),
        echo_checks_find=configuration.boolean("DicomEchoChecksFind"),
        is_comparison_strict=server.is_comparison_strict,
        logs_exports=configuration.boolean("LogExportedResources"),
        window=configuration.integer("DicomAsynchronousWindow"),
        tls=client_tls(configuration),
    )


def client_tls(configuration: Configuration) -> SSLContext | None:
    """What modalities with `UseDicomTls` are spoken to with; None without certificates, or if they cannot be used.

    Those of a server that speaks TLS itself are checked when it opens its door.
    """
    certificate = configuration.path("DicomTlsCertificate")
    trusted = configuration.path("DicomTlsTrustedCertificates")
    if certificate is None and trusted is None:
        return None
    try:
        return client_context(
            certificate,
            configuration.path("DicomTlsPrivateKey"),
            (trusted,) if trusted else (),
            minimum_version=PROTOCOL_VERSIONS.get(configuration.integer("DicomTlsMinimumProtocolVersion")),
            ciphers=configuration.texts("DicomTlsCiphersAccepted"),
        )
    except BadRequest as error:
        _log.warning("Modalities cannot be spoken to with TLS: %s", error)
        return None


def known_modalities(network: Network) -> Sequence[KnownModality]:
    """What the modalities may ask of us, as they are defined now."""
    return [known_modality(modality) for modality in network.modalities.all().values()]


def known_modality(modality: Modality) -> KnownModality:
    """What a modality may ask of us."""
    switches = {
        Operation.ECHO: modality.allow_echo,
        Operation.STORE: modality.allow_store,
        Operation.FIND: modality.allow_find,
        Operation.FIND_WORKLIST: modality.allow_find_worklist,
        Operation.MOVE: modality.allow_move,
        Operation.GET: modality.allow_get,
        Operation.ACTION: modality.allow_n_action,
        Operation.EVENT_REPORT: modality.allow_event_report,
    }
    permitted = frozenset(operation for operation, is_on in switches.items() if is_on)
    return KnownModality(modality.ae_title, modality.host, permitted)


def always_allowed(configuration: Configuration) -> frozenset[Operation]:
    """What anybody may do, by the options of the kind `DicomAlwaysAllow...`."""
    switches = {
        "DicomAlwaysAllowEcho": Operation.ECHO,
        "DicomAlwaysAllowStore": Operation.STORE,
        "DicomAlwaysAllowFind": Operation.FIND,
        "DicomAlwaysAllowFindWorklist": Operation.FIND_WORKLIST,
        "DicomAlwaysAllowGet": Operation.GET,
        "DicomAlwaysAllowMove": Operation.MOVE,
    }
    return frozenset(operation for name, operation in switches.items() if configuration.boolean(name))


def acceptance_rules(configuration: Configuration) -> AcceptanceRules:
    """Who may open an association for what, but for the modalities, which change."""
    options = records.dicom_server(configuration)
    return AcceptanceRules(
        ae_title=options.ae_title,
        check_called_ae_title=options.check_called_ae_title,
        is_comparison_strict=options.is_comparison_strict,
        check_modality_host=options.check_modality_host,
        always=always_allowed(configuration),
        accepted_transfer_syntaxes=options.accepted_transfer_syntaxes,
        transfer_syntax_switches=options.transfer_syntax_switches,
        unknown_sop_class_accepted=options.unknown_sop_class_accepted,
        accepted_sop_classes=options.accepted_sop_classes,
        rejected_sop_classes=options.rejected_sop_classes,
        window=configuration.integer("DicomAsynchronousWindow"),
    )
