"""Options of caches, threads and transcoding."""

from hounsfield.config.option import Effect, Kind, Option, Section

_CACHE = "published in `/system`; the server sizes its own caches"
_THREADS = "published in `/system`; the server sizes its own thread pools"


def _cache(name: str, default: int, meaning: str, since: str = "1.13", reason: str = _CACHE) -> Option:
    return Option(
        name, Kind.COUNT, default, meaning, unit="MB", since=since, effect=Effect.IGNORED, reason=reason
    )


def _threads(name: str, default: int | None, meaning: str, minimum: int | None = None) -> Option:
    return Option(
        name,
        Kind.COUNT,
        default,
        meaning,
        minimum=minimum,
        since="1.13",
        effect=Effect.IGNORED,
        reason=_THREADS,
    )


PERFORMANCE = Section(
    "Performance",
    (
        _cache("MaximumStorageCacheSize", 128, "Memory for files read lately; 0 for none.", "1.10.0"),
        _threads("StorageLoaderThreadsCount", 4, "Threads that read files.", 1),
        _cache("StorageMemoryCapacity", 512, "Memory for files being read."),
        _threads("DicomParserThreadsCount", 2, "Threads that parse DICOM files.", 1),
        _cache("DicomParserMemoryCapacity", 256, "Memory for files being parsed."),
        Option(
            "DicomParserCacheSize",
            Kind.COUNT,
            256,
            "Memory for answers that were made from files; 0 for none.",
            unit="MB",
            since="1.13",
        ),
        Option(
            "VolumeCacheSize",
            Kind.COUNT,
            1024,
            "Memory for series kept as volumes, for planes through them; no larger one is read.",
            unit="MB",
            ours=True,
        ),
        _threads("TranscoderThreadsCount", 4, "Threads that transcode.", 1),
        _cache(
            "TranscoderMemoryCapacity",
            256,
            "Memory for images being transcoded.",
            reason="published in `/system`; what a frame may take follows from its size",
        ),
        _cache(
            "TranscoderCacheSize",
            256,
            "Memory for images transcoded lately; 0 for none.",
            reason="published in `/system`; nothing that was transcoded is kept, `IngestTranscoding` stores it",
        ),
        Option(
            "SequentialDicomReaderThreadsCount",
            Kind.COUNT,
            None,
            "Threads that read and compress the files of an archive ahead; as `StorageLoaderThreadsCount` when not "
            "set.",
            since="1.13",
        ),
        Option(
            "SequentialDicomReaderWindowSize",
            Kind.COUNT,
            None,
            "Files of an archive read ahead; 8 when not set.",
            since="1.13",
        ),
        Option("LoaderThreads", Kind.COUNT, None, "Older spelling of `SequentialDicomReaderWindowSize`."),
        Option("ZipLoaderThreads", Kind.COUNT, None, "Older spelling of `SequentialDicomReaderWindowSize`."),
        Option(
            "SequentialDicomReaderWindowCapacity",
            Kind.COUNT,
            128,
            "Memory for files of an archive read ahead.",
            unit="MB",
            since="1.13",
        ),
    ),
)

TRANSCODING = Section(
    "Transcoding",
    (
        Option(
            "IngestTranscoding",
            Kind.TEXT,
            None,
            "Transfer syntax to transcode new instances to.",
        ),
        Option(
            "IngestTranscodingOfUncompressed",
            Kind.BOOLEAN,
            True,
            "Transcode new instances that are not compressed.",
        ),
        Option(
            "IngestTranscodingOfCompressed",
            Kind.BOOLEAN,
            True,
            "Transcode new instances that are compressed.",
        ),
        Option(
            "DicomLossyTranscodingQuality",
            Kind.COUNT,
            90,
            "Quality of lossy transcoding: of JPEG, JPEG 2000, HTJ2K, JPEG XL and near-lossless JPEG-LS.",
            minimum=1,
            maximum=100,
        ),
        Option(
            "BuiltinDecoderTranscoderOrder",
            Kind.TEXT,
            "After",
            "When the built-in decoder is tried, compared to plugins.",
            choices=("After", "Before", "Disabled"),
            effect=Effect.IGNORED,
            reason="scripts cannot bring decoders: the built-in ones are always used, also with `Disabled`",
        ),
        Option(
            "MaximumConcurrentDcmtkTranscoders",
            Kind.COUNT,
            0,
            "Processes that decode and transcode compressed images at the same time; 0 for one a processor.",
        ),
    ),
)
