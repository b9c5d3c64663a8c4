"""The wiring: from a configuration to a running server. The only place that sees every room.

Start: index and storage area, recovery, threads, doors. Stop: doors first, so that whatever is acknowledged was
finished, then the threads, then what they work on.
"""

import gc
import logging
import ssl
import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

from hounsfield import __version__
from hounsfield.archive import Archive
from hounsfield.automation import lua_scripts
from hounsfield.config import dicom, records
from hounsfield.config.automation import lua_options
from hounsfield.config.configuration import Configuration, has_changed, load
from hounsfield.config.dicomweb import read_dicomweb
from hounsfield.config.flags import Flags
from hounsfield.config.system import rest_options
from hounsfield.config.worklist_settings import read_worklists
from hounsfield.dicom.dictionary.lookup import Declared, declare
from hounsfield.dicom.levels import Level
from hounsfield.dicom.main_tags import main_tags
from hounsfield.dicomweb import extension as dicomweb
from hounsfield.errors import BadRequest, Conflict
from hounsfield.forwarding.forwarder import Forwarder
from hounsfield.host import Host
from hounsfield.http.asgi import Application
from hounsfield.http.dispatch import Dispatcher
from hounsfield.http.options import HttpOptions, TlsOptions
from hounsfield.http.partial import PartialUploads
from hounsfield.http.routing import Router
from hounsfield.http.server import HttpServer
from hounsfield.imaging.isolation import isolated
from hounsfield.index.insertion import find_main_tags_version
from hounsfield.ingest.adoption import Adoption
from hounsfield.ingest.intake import Filter, IngestOptions, Intake, Overwrite
from hounsfield.ingest.receive import receive
from hounsfield.ingest.recovery import recover, restore_lost
from hounsfield.ingest.settling import Settling
from hounsfield.ingest.stability import StabilityMonitor
from hounsfield.ingest.transcoding import transcoder
from hounsfield.ingest.upload import UploadOptions
from hounsfield.jobs.commitment import commitment_kind
from hounsfield.jobs.engine import Engine
from hounsfield.jobs.get_scu import get_scu_kind
from hounsfield.jobs.kept_buckets import clear_forgotten
from hounsfield.jobs.kinds import JobKind
from hounsfield.jobs.ledger import EngineOptions
from hounsfield.jobs.move_scu import move_scu_kind
from hounsfield.jobs.outputs import SharedOutputs
from hounsfield.jobs.peer_store import peer_store_kind
from hounsfield.jobs.store_scu import store_scu_kind
from hounsfield.jobs.transfers import pull_kind, push_kind
from hounsfield.metrics import Metrics
from hounsfield.net.options import AssociationOptions, ServerOptions
from hounsfield.net.server import DicomServer
from hounsfield.net.tls import PROTOCOL_VERSIONS, server_context
from hounsfield.opening import Opened, opened
from hounsfield.remote.network import Network
from hounsfield.rest import extension as rest
from hounsfield.rest import worklists
from hounsfield.rest.neighbours import Neighbours
from hounsfield.scp import extension as scp
from hounsfield.scp.acceptance import announce, policy
from hounsfield.scp.measuring import measured
from hounsfield.scp.performed import PERFORMED_STEP, performed_service
from hounsfield.scp.storage import storage_service
from hounsfield.scp.worklist import WORKLIST_FIND, worklist_service
from hounsfield.settings import Settings
from hounsfield.signals import Wish, signals
from hounsfield.store.filesystem import FilesystemArea, spool_of
from hounsfield.store.measured import MeasuredArea
from hounsfield.store.spool import Spool
from hounsfield.web import assets
from hounsfield.worklist.entries import FolderWorklist, IndexWorklist
from hounsfield.worklist.housekeeping import delete_scheduled, housekeeping
from hounsfield.worklist.performed import COMPLETED, PerformedStep, PerformedSteps

_log = logging.getLogger("hounsfield.generic")


@dataclass(frozen=True, slots=True)
class Running:
    """A server that runs: its ports are those really listened on, 0 for a door that is closed."""

    host: Host
    http_port: int
    dicom_port: int


def run(configuration: Configuration, flags: Flags) -> int:
    """Serve until told to stop; the exit status is returned. SIGHUP reads the configuration again and starts anew.

    Raises
    ------
    ArchiveError
        If the server cannot start.
    """
    while True:
        wish = Wish()
        with signals(wish), serve(configuration, flags) as running:
            running.host.lifecycle.bind(wish.make)
            _announce(configuration, running)
            _settle_memory()
            wish.wait()
            _log.warning("Hounsfield is stopping")
        _log.warning("Hounsfield has stopped")
        if not wish.is_restart:
            return 0
        if has_changed(configuration):
            configuration = load(configuration.origin)


@contextmanager
def serve(configuration: Configuration, flags: Flags | None = None) -> Iterator[Running]:
    """A server that runs as long as the block."""
    with ExitStack() as stack:
        stack.enter_context(isolated(records.isolation(configuration)))
        host, network, spool_area = _build(configuration, stack)
        dispatcher = _dispatcher(configuration, host)
        stack.callback(network.shipping.kept.close)
        host.engine.start(is_reloading=flags is None or flags.is_job_restart_wanted)
        stack.callback(host.engine.stop)
        for running in host.runs:
            stack.enter_context(running())
        dicom_port = _open_dicom(configuration, host, network, spool_area, stack)
        http_port = _open_http(configuration, host, dispatcher, spool_area, stack)
        for interrupt in host.interrupts:
            stack.callback(interrupt)
        stack.callback(host.engine.interrupt)  # Nobody waits for a job while the doors close.
        yield Running(host, http_port, dicom_port)


def _build(configuration: Configuration, stack: ExitStack) -> tuple[Host, Network, FilesystemArea]:
    """Everything behind the doors."""
    ingest = records.ingest(configuration)
    found = stack.enter_context(opened(configuration))
    metrics, area = _metrics(configuration, stack), found.area
    archive = replace(found.archive, storage=MeasuredArea(found.archive.storage, metrics))
    area.spool.clear()
    settling = Settling(archive)
    intake = replace(make_intake(configuration, archive, settling, area.spool), metrics=metrics)
    recover(intake)
    settling.restore = partial(restore_lost, intake)
    settling.start()
    stack.callback(settling.stop)
    if found.node:
        adoption = Adoption(intake, area)
        adoption.start()
        stack.callback(adoption.stop)
    stability = StabilityMonitor(archive, ingest.stable_age_seconds)
    stability.start()
    stack.callback(stability.stop)
    host = _host(configuration, archive, intake, found)
    return host, _join_network(configuration, host, area.spool.folder.parent), area


def _metrics(configuration: Configuration, stack: ExitStack) -> Metrics:
    """The figures of this run, which count what is logged too."""
    metrics = Metrics()
    metrics.is_enabled = configuration.boolean("MetricsEnabled")
    root = logging.getLogger("hounsfield")
    root.addHandler(metrics.logged)
    stack.callback(root.removeHandler, metrics.logged)
    return metrics


def make_intake(configuration: Configuration, archive: Archive, settling: Settling, spool: Spool) -> Intake:
    """The only way in, as the configuration says."""
    ingest, tags = records.ingest(configuration), records.tags(configuration)
    declare(Declared(each.tag, each.vr, each.name, each.private_creator) for each in tags.declared)
    chosen = main_tags(tags.extra_main_dicom_tags)
    patient, study, series, instance = (chosen.signature(level) for level in Level)
    version = archive.database.write(
        lambda tx: find_main_tags_version(tx, (patient, study, series, instance))
    )
    options = IngestOptions(
        overwrite=Overwrite(ingest.overwrite.value),
        is_compressed=ingest.is_compressed,
        maximum_size=ingest.maximum_storage_bytes or 0,
        maximum_patients=ingest.maximum_patient_count or 0,
        is_recycling=ingest.maximum_storage_mode is records.MaximumStorageMode.RECYCLE,
        is_read_only=ingest.is_read_only,
        settings=Settings(tags.default_encoding),
        main_tags=chosen,
    )
    transcode = transcoder(ingest.transcoding) if ingest.transcoding else None
    return Intake(archive, options, version, settling, transcode=transcode, spool=spool)


def _host(configuration: Configuration, archive: Archive, intake: Intake, found: Opened) -> Host:
    http = records.http(configuration)
    # On the disk of the archive, so that a file is renamed into place.
    own = found.area.spool.folder.parent
    resumable = records.resumable_uploads(configuration, own / "uploads")
    uploads = UploadOptions(
        found.area.spool,
        http.maximum_archive_member_bytes or 0,
        replace(resumable, nodes=own.parent if found.node else None),
    )
    filters: list[Filter] = []
    kinds: dict[str, JobKind] = {}
    jobs = records.jobs(configuration)
    engine = Engine(
        archive,
        kinds,
        EngineOptions(
            jobs.concurrent,
            jobs.history,
            jobs.kept_archives,
            jobs.is_saved,
            is_shared=bool(found.node),
            server=found.node,
        ),
        shared_outputs=SharedOutputs(found.node, partial(spool_of, found.root)) if found.node else None,
    )
    host = Host(archive, replace(intake, filters=filters), uploads, engine, kinds, filters)
    if http.is_explorer_enabled:
        host.routes.extend(assets.routes())
    lua_scripts.extend(host, lua_options(configuration))
    for subscriber in host.subscribers:
        archive.events.subscribe(subscriber)
    return host


def _join_network(configuration: Configuration, host: Host, folder: Path) -> Network:
    """All that has to do with other servers, and the doors that need it; `folder` is for files on their way."""
    filters = dicom.OutgoingFilters(host.outgoing_find_filters, host.outgoing_store_filters)
    network = dicom.network(configuration, host.archive, filters)
    transfer = dicom.transfer_options(configuration)
    transfers_folder = folder / "transfers"
    clear_forgotten(transfers_folder, host.archive)
    _add_forwarding(configuration, host, network)
    for kind in (
        store_scu_kind(network),
        move_scu_kind(network),
        get_scu_kind(network, host.intake),
        peer_store_kind(network),
        commitment_kind(network),
        push_kind(network, transfer),
        pull_kind(network, transfer, host.intake, transfers_folder),
    ):
        host.job_kinds[kind.name] = kind
    announce(dicom.acceptance_rules(configuration), host.intake.options.settings)
    door = rest.extend(host, rest_options(configuration, host.intake.options.settings))
    rest.extend_to_neighbours(
        host, Neighbours(door, network), configuration.integer("QueryRetrieveSize"), transfer
    )
    dicomweb.extend(host, read_dicomweb(configuration))
    scp.extend(
        host,
        network,
        dicom.query_options(configuration, host.intake),
        dicom.retrieve_options(configuration, host.engine),
        dicom.submit_commitment(host.engine),
    )
    _add_worklist(configuration, host)
    return network


def _add_forwarding(configuration: Configuration, host: Host, network: Network) -> None:
    """Store-and-forward, unless nothing may be written."""
    if host.intake.options.is_read_only:
        return
    forwarder = Forwarder(network, dicom.forwarding_options(configuration, host.engine.options.server))

    @contextmanager
    def running() -> Iterator[None]:
        forwarder.start()
        try:
            yield
        finally:
            forwarder.stop()

    host.runs.append(running)
    host.interrupts.append(forwarder.interrupt)


def _add_worklist(configuration: Configuration, host: Host) -> None:
    """The modality worklist, if there is one."""
    settings = read_worklists(configuration)
    if settings is None:
        return
    folder = settings.folder
    worklist = IndexWorklist(host.archive.database) if folder is None else FolderWorklist(folder)
    host.services[WORKLIST_FIND] = worklist_service(worklist, settings.options, host.worklist_filters)
    rest.extend_to_worklist(host, worklists.Desk(worklist, settings.sets_study_uid))
    host.runs.append(lambda: housekeeping(host.archive, worklist, settings.housekeeping))
    steps = PerformedSteps(host.archive.database)

    def changed(step: PerformedStep) -> None:
        if settings.deletes_completed and step.status == COMPLETED:
            delete_scheduled(worklist, step)

    host.services[PERFORMED_STEP] = performed_service(steps, settings.options.default_encoding, changed)
    rest.extend_to_performed(host, steps)


def _open_dicom(
    configuration: Configuration, host: Host, network: Network, area: FilesystemArea, stack: ExitStack
) -> int:
    """The DICOM door; the port it listens on, 0 if it is closed."""
    options = records.dicom_server(configuration)
    if not options.is_enabled:
        return 0
    rules = dicom.acceptance_rules(configuration)
    settings = host.intake.options.settings
    storage = partial(storage_service, partial(receive, host.intake), arrived=network.arrivals.note)
    services = {uid: measured(service, host.intake.metrics) for uid, service in host.services.items()}
    accepted = policy(rules, storage, services, lambda: dicom.known_modalities(network), settings)
    association = AssociationOptions(
        maximum_pdu_length=options.maximum_pdu_length, idle_timeout_seconds=options.timeout_seconds or 0
    )
    port = options.port
    for address in options.bind_addresses:
        server = DicomServer(
            ServerOptions(port=port, host=address, association=association, tls=_dicom_tls(configuration)),
            lambda: accepted,
            area.spool,
        )
        try:
            server.start()
        except OSError as error:
            raise DicomPortInUse(
                f"The TCP port {port} of the DICOM server is privileged or already in use"
            ) from error
        stack.callback(server.stop)
        port = server.port
    return port


class DicomPortInUse(Conflict):
    """The address of the DICOM server cannot be listened on."""


def _dicom_tls(configuration: Configuration) -> ssl.SSLContext | None:
    if not configuration.boolean("DicomTlsEnabled"):
        return None
    certificate = configuration.path("DicomTlsCertificate")
    if certificate is None:
        raise BadRequest("DICOM TLS needs a certificate: set DicomTlsCertificate")
    trusted = configuration.path("DicomTlsTrustedCertificates")
    return server_context(
        certificate,
        configuration.path("DicomTlsPrivateKey"),
        (trusted,) if trusted else (),
        require_client=configuration.boolean("DicomTlsRemoteCertificateRequired"),
        minimum_version=PROTOCOL_VERSIONS.get(configuration.integer("DicomTlsMinimumProtocolVersion")),
        ciphers=configuration.texts("DicomTlsCiphersAccepted"),
    )


def _dispatcher(configuration: Configuration, host: Host) -> Dispatcher:
    """What answers requests, from clients and from inside."""
    dispatcher = Dispatcher(
        Router(host.routes, host.expressions),
        describes_errors=configuration.boolean("HttpDescribeErrors"),
        partial_uploads=PartialUploads(),
    )
    host.calls.bind(dispatcher, replace(dispatcher, router=Router(host.routes)))
    return dispatcher


def _open_http(
    configuration: Configuration,
    host: Host,
    dispatcher: Dispatcher,
    area: FilesystemArea,
    stack: ExitStack,
) -> int:
    """The HTTP door; the port it listens on, 0 if it is closed."""
    options = records.http(configuration)
    if not options.is_enabled:
        return 0
    http = HttpOptions(
        port=options.port,
        bind_addresses=options.bind_addresses,
        threads=options.threads_count,
        may_answer_on_loop=not host.archive.database.is_elsewhere,
        request_timeout_seconds=options.request_timeout_seconds,
        is_kept_alive=options.is_kept_alive,
        keep_alive_timeout_seconds=options.keep_alive_timeout_seconds,
        is_compressed=options.is_compression_enabled,
        describes_errors=options.describe_errors,
        maximum_body_bytes=options.maximum_body_bytes or 0,
        access=options.access,
        tls=_https(configuration),
    )
    server = HttpServer(
        Application(dispatcher, http, area.spool, host.request_filters, host.intake.metrics), http
    )
    server.start()
    stack.callback(server.stop)
    return server.port


def _https(configuration: Configuration) -> TlsOptions | None:
    if not configuration.boolean("SslEnabled"):
        return None
    certificate = configuration.path("SslCertificate")
    if certificate is None:
        raise BadRequest("HTTPS needs a certificate: set SslCertificate")
    return TlsOptions(
        certificate=certificate,
        minimum_version=configuration.integer("SslMinimumProtocolVersion"),
        ciphers=configuration.texts("SslCiphersAccepted"),
        trusted_client_certificates=(
            configuration.path("SslTrustedClientCertificates")
            if configuration.boolean("SslVerifyPeers")
            else None
        ),
    )


def _settle_memory() -> None:
    """What the start made lives until the end: the garbage collector need not look at it again."""
    gc.collect()
    gc.freeze()


def _announce(configuration: Configuration, running: Running) -> None:
    """Say where the server is to be found, on the standard output: it is what people wait for."""
    lines = [f"Hounsfield {__version__} is ready. Stop it with Ctrl-C."]
    if running.http_port:
        address = next(iter(records.http(configuration).bind_addresses), "127.0.0.1")
        shown = "127.0.0.1" if address in ("0.0.0.0", "::") else address
        scheme = "https" if configuration.boolean("SslEnabled") else "http"
        lines.append(f"  Web page   {scheme}://{shown}:{running.http_port}/")
    if running.dicom_port:
        dicom = records.dicom_server(configuration)
        lines.append(f"  DICOM      AE title {dicom.ae_title}, port {running.dicom_port}")
    lines.append(f"  Files in   {records.general(configuration).storage_folder}")
    with suppress(OSError):  # Nobody may be there to read it.
        sys.stdout.write("\n".join([*lines, ""]))
        sys.stdout.flush()
