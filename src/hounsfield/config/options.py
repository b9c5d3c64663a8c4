"""The one table of options: checks, `hounsfield config` and `docs/configuration.md` are made from it."""

from typing import Final

from hounsfield.config.option import Option, Section
from hounsfield.config.table.database import DATABASE
from hounsfield.config.table.dicom import ACCEPTED, DICOM_SERVER, DICOM_TLS, LOGS, QUERIES, WORKLISTS
from hounsfield.config.table.dicomweb import DICOMWEB
from hounsfield.config.table.general import GENERAL, JOBS, STORAGE, TAGS
from hounsfield.config.table.network import MODALITIES, PEERS
from hounsfield.config.table.performance import PERFORMANCE, TRANSCODING
from hounsfield.config.table.web import ACCESS, HTTP

SECTIONS: Final[tuple[Section, ...]] = (
    GENERAL,
    STORAGE,
    DATABASE,
    HTTP,
    DICOMWEB,
    ACCESS,
    DICOM_SERVER,
    ACCEPTED,
    QUERIES,
    WORKLISTS,
    DICOM_TLS,
    MODALITIES,
    PEERS,
    TAGS,
    JOBS,
    TRANSCODING,
    PERFORMANCE,
    LOGS,
)

OPTIONS: Final[dict[str, Option]] = {
    option.name: option for section in SECTIONS for option in section.options
}

# Names that a configuration of Orthanc gives to its plugins; each owns one object at the top level.
PLUGIN_SECTIONS: Final[frozenset[str]] = frozenset(
    """
    AdvancedStorage AmazonS3 Authorization AwsS3Storage AzureBlobStorage ConnectivityChecks DelayedDeletion DicomWeb
    Education Gdcm GoogleCloudStorage Housekeeper Indexer MultitenantDicom MySQL Neuro OHIF Odbc OrthancExplorer2
    PostgreSQL Python PythonScript PythonVerbose STL ServeFolders StoneWebViewer Tcia VolView
    WebViewer WholeSlideImaging
    """.split()
)
