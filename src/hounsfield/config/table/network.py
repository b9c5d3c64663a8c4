"""Options of what we ask others: modalities, peers, proxies."""

from hounsfield.config.option import Effect, Kind, Option, Section

FORWARDING_MEMBERS: tuple[Option, ...] = (
    Option("FirstDelay", Kind.COUNT, 5, "seconds to wait after the first failure", minimum=1),
    Option("MaximumDelay", Kind.COUNT, 600, "seconds that the wait, which doubles, may reach", minimum=1),
    Option("MaximumAttempts", Kind.COUNT, 20, "refusals of an instance until it has failed; 0 for no limit"),
    Option(
        "MaximumAge", Kind.COUNT, 0, "hours that an instance may wait until it has failed; 0 for no limit"
    ),
    Option("ConcurrentDestinations", Kind.COUNT, 16, "destinations served at a time", minimum=1),
)

MODALITIES = Section(
    "Modalities, as DICOM client",
    (
        Option(
            "DicomModalities",
            Kind.OBJECT,
            {},
            'DICOM servers we know: `{ "pacs": ["AET", "host", 104] }`, or an object with `AET`, `Host`, `Port` '
            "and what each may ask of us (`AllowEcho`, `AllowStore`, ...). `StoreAssociations` (1, at most 16; not of "
            "Orthanc) is on how many associations a job sends to it at the same time, see "
            "[routing.md](routing.md#several-associations).",
        ),
        Option(
            "DicomModalitiesInDatabase",
            Kind.BOOLEAN,
            False,
            "Keep the modalities in the index, where the REST API changes them, and ignore `DicomModalities`.",
        ),
        Option(
            "DicomScuTimeout",
            Kind.COUNT,
            10,
            "How long another DICOM server may take to answer; 0 for ever.",
            unit="s",
        ),
        Option(
            "DicomScuPreferredTransferSyntax",
            Kind.TEXT,
            "1.2.840.10008.1.2.1",
            "Transfer syntax we propose first.",
        ),
        Option(
            "DicomEchoChecksFind",
            Kind.BOOLEAN,
            False,
            "Test C-FIND as well when a modality is tested.",
        ),
        Option(
            "DicomDefaultRetrieveMethod",
            Kind.TEXT,
            "C-MOVE",
            "How to fetch studies from a modality.",
            choices=("C-MOVE", "C-GET"),
        ),
        Option(
            "TranscodeDicomProtocol",
            Kind.BOOLEAN,
            True,
            "Transcode what a modality would not accept as it is.",
        ),
        Option(
            "DicomAssociationCloseDelay",
            Kind.COUNT,
            5,
            "How long a connection by which a Lua script or a queue sent to a modality is kept for the next C-STORE; 0 "
            "for not at all.",
            unit="s",
        ),
    ),
)

PEERS = Section(
    "Peers, as HTTP client",
    (
        Option(
            "OrthancPeers",
            Kind.OBJECT,
            {},
            'Servers with the same REST API: `{ "other": ["http://host:8042/", "user", "password"] }`.',
        ),
        Option(
            "OrthancPeersInDatabase",
            Kind.BOOLEAN,
            False,
            "Keep the peers in the index, where the REST API changes them.",
        ),
        Option(
            "StoreAndForward",
            Kind.OBJECT,
            {},
            "Queues of what is sent to modalities and peers that ask for it, see [routing.md](routing.md): "
            + "; ".join(f"`{each.name}` ({each.default}): {each.meaning}" for each in FORWARDING_MEMBERS)
            + ". What has failed is kept until it is tried again or purged.",
            ours=True,
        ),
        Option(
            "HttpProxy",
            Kind.TEXT,
            "",
            "Proxy for requests we make.",
        ),
        Option(
            "HttpTimeout",
            Kind.COUNT,
            60,
            "How long another HTTP server may take to answer.",
            unit="s",
        ),
        Option(
            "HttpVerbose",
            Kind.BOOLEAN,
            False,
            "Log the details of requests we make.",
        ),
        Option(
            "HttpsVerifyPeers",
            Kind.BOOLEAN,
            True,
            "Check the certificates of HTTPS servers.",
        ),
        Option(
            "HttpsCACertificates",
            Kind.PATH,
            "",
            "PEM file with the authorities we trust; the system's when empty.",
        ),
        Option(
            "Transfers",
            Kind.OBJECT,
            {},
            "Transfers between peers in buckets (`/transfers`): `Threads` (4), `BucketSize` (4096 KB), "
            "`MaxPushTransactions` (4), `MaxHttpRetries` (0), `PeerConnectivityTimeout` (2 s), `PeerCommitTimeout` "
            "(600 s); `CacheSize` and `CommitThreadsCount` are understood, and not needed. A peer with the property "
            "`RemoteSelf`, the name by which it knows us, is told to fetch.",
        ),
        Option(
            "Pkcs11",
            Kind.OBJECT,
            {},
            "Hardware token with our client certificate: `Module`, `Pin`, `Verbose`.",
            effect=Effect.IGNORED,
            reason="hardware tokens cannot be used",
        ),
    ),
)
