"""Options of the server as a whole: names, folders, storage, metadata, jobs."""

from hounsfield.config.option import Effect, Kind, Option, Section

GENERAL = Section(
    "General",
    (
        Option(
            "Name", Kind.TEXT, "MyOrthanc", "Name of this server, shown in `/system` and in the Explorer."
        ),
        Option(
            "DatabaseServerIdentifier",
            Kind.TEXT,
            None,
            "Key under which this server keeps its own properties in an index that several servers share; "
            "derived from the machine and the ports when not set.",
        ),
        Option(
            "TemporaryDirectory",
            Kind.PATH,
            None,
            "Existing folder for large temporary files; the system's one when not set.",
            effect=Effect.IGNORED,
            reason="large temporary files are kept in the storage folder",
        ),
        Option(
            "ReadOnly",
            Kind.BOOLEAN,
            False,
            "Refuse everything that would change the archive: uploads, deletions, labels, recycling.",
            since="1.12.5",
        ),
        Option(
            "PatientLevelEnabled",
            Kind.BOOLEAN,
            True,
            "Offer the patient level; false removes `/patients`.",
            since="1.12.11",
        ),
        Option(
            "MetricsEnabled",
            Kind.BOOLEAN,
            True,
            "Count what happens and publish it for Prometheus.",
        ),
        Option(
            "Locale",
            Kind.TEXT,
            None,
            "Locale of the process.",
            effect=Effect.IGNORED,
            reason="text is compared and written the same way in every locale",
        ),
        Option(
            "MallocArenaMax",
            Kind.COUNT,
            5,
            "Number of memory pools of the C library.",
            effect=Effect.IGNORED,
            reason="it does not apply to this server",
        ),
        Option(
            "Plugins",
            Kind.TEXTS,
            [],
            "Shared libraries that extend Orthanc, or folders of them.",
            effect=Effect.IGNORED,
            reason="libraries made for Orthanc cannot be loaded",
        ),
        Option(
            "LuaScripts",
            Kind.TEXTS,
            [],
            "Lua scripts to load at start.",
        ),
        Option(
            "LuaHeartBeatPeriod",
            Kind.COUNT,
            0,
            "Time between two calls of the Lua function `OnHeartBeat`; 0 for never.",
            unit="s",
            since="1.11.3",
        ),
        Option(
            "Warnings",
            Kind.OBJECT,
            {},
            'Switch off warnings one by one, as in `{ "W001_TagsBeingReadFromStorage": false }`.',
            effect=Effect.IGNORED,
            reason="these warnings are not written yet",
        ),
    ),
)

STORAGE = Section(
    "Storage",
    (
        Option(
            "StorageDirectory",
            Kind.PATH,
            "OrthancStorage",
            "Folder of the DICOM files, made when missing. Without any configuration file it is "
            "`HounsfieldStorage` in the current folder.",
        ),
        Option("IndexDirectory", Kind.PATH, None, "Folder of the index; `StorageDirectory` when not set."),
        Option(
            "StorageCompression",
            Kind.BOOLEAN,
            False,
            "Compress new files with zlib; files already stored stay as they are.",
        ),
        Option(
            "MaximumStorageSize",
            Kind.COUNT,
            0,
            "Largest size of all the files; 0 for no limit.",
            unit="MB",
        ),
        Option("MaximumPatientCount", Kind.COUNT, 0, "Largest number of patients; 0 for no limit."),
        Option(
            "MaximumStorageMode",
            Kind.TEXT,
            "Recycle",
            "What to do at the limit: `Recycle` deletes the oldest unprotected patients, `Reject` refuses new "
            "instances. Anything else is reported and taken for `Reject`, so that a typing error deletes nothing.",
            since="1.11.2",
        ),
        Option(
            "StoreDicom",
            Kind.BOOLEAN,
            True,
            "Keep the DICOM files; false keeps only the index.",
            effect=Effect.IGNORED,
            reason="the files are always kept",
        ),
        Option(
            "OverwriteInstances",
            Kind.BOOLEAN_OR_TEXT,
            "Never",
            "What to do when an instance arrives that is already stored: `Never` (or false) keeps the first one, "
            "`Always` (or true) takes the new one, `IfChanged` takes it when its MD5 differs.",
            choices=("Never", "Always", "IfChanged"),
            since="`IfChanged`: 1.13",
        ),
        Option("StoreMD5ForAttachments", Kind.BOOLEAN, True, "Compute and keep the MD5 of each file."),
        Option(
            "SyncStorageArea",
            Kind.BOOLEAN,
            True,
            "Wait until each file is on the disk before an instance is acknowledged; false loses the last files "
            "in a power cut.",
        ),
        Option(
            "StableAge",
            Kind.COUNT,
            60,
            "How long nothing must arrive for a patient, study or series to be stable; 0 means 60.",
            unit="s",
        ),
        Option(
            "CheckRevisions",
            Kind.BOOLEAN,
            False,
            "Demand the revision of what is overwritten (`If-Match`).",
        ),
        Option(
            "LogExportedResources",
            Kind.BOOLEAN,
            False,
            "Keep a list of what was sent to others, in `/exports`.",
        ),
    ),
)

TAGS = Section(
    "Tags and metadata",
    (
        Option(
            "ExtraMainDicomTags",
            Kind.OBJECT,
            {},
            'More attributes to keep in the index, by level: `{ "Study": ["Laterality"] }`.',
            since="1.11.0",
        ),
        Option(
            "UserMetadata",
            Kind.OBJECT,
            {},
            'Names for your own metadata: `{ "sample": 1024 }`, numbers from 1024 to 65535.',
        ),
        Option(
            "UserContentType",
            Kind.OBJECT,
            {},
            'Names for your own attachments: `{ "report": [1025, "application/pdf"] }`.',
        ),
        Option(
            "Dictionary",
            Kind.OBJECT,
            {},
            'Private or missing tags: `{ "00e1,c2": ["UI", "Name", 1, 1, "CREATOR"] }`.',
        ),
        Option(
            "ExternalDictionaries",
            Kind.TEXTS,
            [],
            "Files of DCMTK's dictionary format that replace the built-in dictionary.",
            since="1.9.4",
            effect=Effect.IGNORED,
            reason="the built-in dictionary is used",
        ),
        Option(
            "LoadPrivateDictionary",
            Kind.BOOLEAN,
            True,
            "Know the private tags of the usual manufacturers.",
            effect=Effect.IGNORED,
            reason="the built-in dictionary is used",
        ),
        Option(
            "DefaultPrivateCreator",
            Kind.TEXT,
            "",
            "Private creator of the private tags of `Dictionary`, and of requests, that name none.",
        ),
        Option(
            "DefaultEncoding",
            Kind.TEXT,
            "Latin1",
            "Character set of data sets that declare none (0008,0005).",
            choices=(
                "Ascii",
                "Utf8",
                "Latin1",
                "Latin2",
                "Latin3",
                "Latin4",
                "Latin5",
                "Cyrillic",
                "Windows1251",
                "Arabic",
                "Greek",
                "Hebrew",
                "Thai",
                "Japanese",
                "Chinese",
                "JapaneseKanji",
                "Korean",
                "SimplifiedChinese",
            ),
        ),
    ),
)

JOBS = Section(
    "Jobs and archives",
    (
        Option("SaveJobs", Kind.BOOLEAN, True, "Keep jobs across restarts."),
        Option(
            "JobsHistorySize",
            Kind.COUNT,
            10,
            "Number of finished jobs to remember; with 0 no job can be waited for.",
        ),
        Option(
            "ConcurrentJobs",
            Kind.COUNT,
            2,
            "Jobs that run at the same time; 0 for one a processor.",
        ),
        Option(
            "JobsEngineThreadsCount",
            Kind.OBJECT,
            {"ResourceModification": 1},
            "Threads of each kind of job; 0 for one a processor.",
            effect=Effect.IGNORED,
            reason="a job uses one thread",
        ),
        Option(
            "MediaArchiveSize",
            Kind.COUNT,
            1,
            "Number of finished ZIP archives to keep.",
            minimum=1,
        ),
        Option(
            "ZipUseUtf8",
            Kind.BOOLEAN,
            False,
            "Write the names inside ZIP archives in UTF-8.",
            since="1.12.11",
        ),
        Option(
            "SynchronousZipStream",
            Kind.BOOLEAN,
            True,
            "Send a ZIP archive while it is made.",
            since="1.9.4",
        ),
    ),
)
