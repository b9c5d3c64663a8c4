"""Options of the DICOM server: who may connect, what is accepted, how associations end."""

from hounsfield.config.option import Effect, Kind, Option, Section

_LOGS = "logs never hold attributes of patients"


def _switch(name: str, meaning: str) -> Option:
    return Option(name, Kind.BOOLEAN, None, f"Accept {meaning}; when set, it has the last word.")


DICOM_SERVER = Section(
    "DICOM server",
    (
        Option("DicomServerEnabled", Kind.BOOLEAN, True, "Serve DICOM."),
        Option("DicomPort", Kind.COUNT, 4242, "TCP port of DICOM.", minimum=1, maximum=65535),
        Option(
            "DicomBindAddresses",
            Kind.TEXTS,
            [],
            "IP addresses to listen on. When empty: all of them if there is a configuration file or "
            "`RemoteAccessAllowed`, else 127.0.0.1.",
            ours=True,
        ),
        Option("DicomAet", Kind.TEXT, "ORTHANC", "AE title of this server, at most 16 characters."),
        Option(
            "DicomCheckCalledAet", Kind.BOOLEAN, False, "Refuse callers that use another AE title for us."
        ),
        Option(
            "StrictAetComparison",
            Kind.BOOLEAN,
            False,
            "Let upper and lower case matter when AE titles are compared.",
        ),
        Option(
            "DicomThreadsCount",
            Kind.COUNT,
            4,
            "Operations worked on at the same time, over all the connections.",
            minimum=1,
            effect=Effect.IGNORED,
            reason="each connection has a thread of its own",
        ),
        Option(
            "DicomScpTimeout",
            Kind.COUNT,
            30,
            "How long a silent connection is kept; 0 for ever.",
            unit="s",
        ),
        Option(
            "MaximumPduLength",
            Kind.COUNT,
            131072,
            "Largest packet (P-DATA-TF PDU) we ask others to send.",
            unit="bytes",
            minimum=4096,
            maximum=131072,
        ),
        Option(
            "DicomAsynchronousWindow",
            Kind.COUNT,
            8,
            "How many C-STOREs may be under way on one connection, sent or received, if the other side agrees; "
            "1 for one after the other.",
            minimum=1,
            maximum=64,
            ours=True,
        ),
        Option("DicomAlwaysAllowEcho", Kind.BOOLEAN, True, "Answer C-ECHO to everybody."),
        Option(
            "DicomAlwaysAllowStore",
            Kind.BOOLEAN,
            True,
            "Take C-STORE from everybody, not only from `DicomModalities`.",
        ),
        Option(
            "DicomAlwaysAllowFind",
            Kind.BOOLEAN,
            False,
            "Answer C-FIND to everybody.",
        ),
        Option(
            "DicomAlwaysAllowFindWorklist",
            Kind.BOOLEAN,
            False,
            "Answer worklist queries to everybody.",
        ),
        Option(
            "DicomAlwaysAllowGet",
            Kind.BOOLEAN,
            False,
            "Answer C-GET to everybody.",
        ),
        Option(
            "DicomAlwaysAllowMove",
            Kind.BOOLEAN,
            False,
            "Answer C-MOVE to everybody.",
        ),
        Option(
            "DicomCheckModalityHost",
            Kind.BOOLEAN,
            False,
            "Demand that a known AE title comes from the address in `DicomModalities`.",
        ),
    ),
)

ACCEPTED = Section(
    "What the DICOM server accepts",
    (
        Option(
            "AcceptedTransferSyntaxes",
            Kind.TEXT_OR_TEXTS,
            ["1.2.840.10008.1.*"],
            "Transfer syntaxes to accept, with `?` and `*`.",
        ),
        _switch("DeflatedTransferSyntaxAccepted", "Deflated Explicit VR Little Endian"),
        _switch("JpegTransferSyntaxAccepted", "JPEG Baseline and Extended"),
        _switch("Jpeg2000TransferSyntaxAccepted", "JPEG 2000"),
        _switch("JpegLosslessTransferSyntaxAccepted", "JPEG-LS"),
        _switch("JpipTransferSyntaxAccepted", "JPIP"),
        _switch("Mpeg2TransferSyntaxAccepted", "MPEG-2"),
        _switch("RleTransferSyntaxAccepted", "RLE"),
        _switch("Mpeg4TransferSyntaxAccepted", "MPEG-4"),
        _switch("H265TransferSyntaxAccepted", "HEVC (H.265)"),
        Option(
            "UnknownSopClassAccepted",
            Kind.BOOLEAN,
            False,
            "Accept storage of SOP classes that the standard does not list.",
        ),
        Option(
            "AcceptedSopClasses",
            Kind.TEXT_OR_TEXTS,
            None,
            "SOP classes to accept for storage, with `?` and `*`; all the known ones when not set.",
            since="1.12.6",
        ),
        Option(
            "RejectedSopClasses",
            Kind.TEXT_OR_TEXTS,
            [],
            "SOP classes to refuse, taken off the accepted ones.",
            since="1.12.6",
        ),
        Option(
            "RejectSopClasses",
            Kind.TEXT_OR_TEXTS,
            [],
            "Older spelling of `RejectedSopClasses`.",
            since="1.12.6",
        ),
    ),
)

QUERIES = Section(
    "Queries and retrieval",
    (
        Option(
            "LimitFindResults",
            Kind.COUNT,
            0,
            "Largest number of answers above the instance level; 0 for all.",
        ),
        Option(
            "LimitFindInstances", Kind.COUNT, 0, "Largest number of answers at the instance level; 0 for all."
        ),
        Option(
            "CaseSensitivePN",
            Kind.BOOLEAN,
            False,
            "Let case matter when person names are matched.",
        ),
        Option(
            "StorageAccessOnFind",
            Kind.TEXT,
            "Always",
            "Whether a query may use attributes that are no main DICOM tags: they are read in the headers that the "
            "index keeps, and in a file where it has none. With `Never` they match nothing, and are not answered.",
            choices=("Always", "Never", "Answers"),
        ),
        Option(
            "SynchronousCMove",
            Kind.BOOLEAN,
            True,
            "Finish a C-MOVE before it is answered.",
        ),
        Option(
            "QueryRetrieveSize",
            Kind.COUNT,
            100,
            "Number of queries to remember.",
            minimum=1,
        ),
        Option(
            "StorageCommitmentReportsSize",
            Kind.COUNT,
            100,
            "Number of storage commitment reports to remember.",
        ),
    ),
)

WORKLISTS = Section(
    "Modality worklist",
    (
        Option(
            "Worklists",
            Kind.OBJECT,
            {},
            "What is scheduled: `Enable`, and where it is kept, in a folder of `.wl` files (`Directory`) or in the "
            "index (`SaveInOrthancDatabase`). Further `FilterIssuerAet` (false), `LimitAnswers` (0), "
            "`SetStudyInstanceUidIfMissing` (true), `DeleteWorklistsOnStableStudy` (true), `DeleteWorklistsDelay` (0 "
            "hours), `HousekeepingInterval` (60 s), `LogMatchedWorklistIds` (false), "
            "`DeleteWorklistsOnCompletedStep` (false). Performed procedure steps (MPPS) are taken then too.",
        ),
    ),
)

DICOM_TLS = Section(
    "DICOM over TLS",
    (
        Option(
            "DicomTlsEnabled",
            Kind.BOOLEAN,
            False,
            "Demand TLS on the DICOM port.",
        ),
        Option(
            "DicomTlsCertificate",
            Kind.PATH,
            None,
            "PEM file with our certificate.",
        ),
        Option(
            "DicomTlsPrivateKey",
            Kind.PATH,
            None,
            "PEM file with our private key.",
        ),
        Option(
            "DicomTlsTrustedCertificates",
            Kind.PATH,
            None,
            "PEM file with the certificates we trust.",
        ),
        Option(
            "DicomTlsRemoteCertificateRequired",
            Kind.BOOLEAN,
            True,
            "Demand a certificate from callers.",
            since="1.9.3",
        ),
        Option(
            "DicomTlsMinimumProtocolVersion",
            Kind.COUNT,
            0,
            "Oldest TLS accepted; 0 for the BCP 195 profile.",
            maximum=5,
        ),
        Option(
            "DicomTlsCiphersAccepted",
            Kind.TEXTS,
            [],
            "OpenSSL names of the ciphers; needed unless the profile is used.",
        ),
    ),
)

LOGS = Section(
    "Logs",
    (
        Option(
            "DeidentifyLogs",
            Kind.BOOLEAN,
            True,
            "Keep the attributes of patients out of the logs.",
            effect=Effect.IGNORED,
            reason=_LOGS,
        ),
        Option(
            "DeidentifyLogsDicomVersion",
            Kind.TEXT,
            "2023b",
            "Edition of PS3.15 that says which attributes to keep out.",
            choices=("2008", "2017c", "2021b", "2023b"),
            effect=Effect.IGNORED,
            reason=_LOGS,
        ),
    ),
)
