"""Orthanc's error numbers, for messages that scripts of Orthanc's users already know how to read."""

import re
from collections.abc import Iterator

# Number and name, in the order of Orthanc's REST API documentation.
_NAMES = """
-1 InternalError, 0 Success, 1 Plugin, 2 NotImplemented, 3 ParameterOutOfRange, 4 NotEnoughMemory,
5 BadParameterType, 6 BadSequenceOfCalls, 7 InexistentItem, 8 BadRequest, 9 NetworkProtocol, 10 SystemCommand,
11 Database, 12 UriSyntax, 13 InexistentFile, 14 CannotWriteFile, 15 BadFileFormat, 16 Timeout, 17 UnknownResource,
18 IncompatibleDatabaseVersion, 19 FullStorage, 20 CorruptedFile, 21 InexistentTag, 22 ReadOnly,
23 IncompatibleImageFormat, 24 IncompatibleImageSize, 25 SharedLibrary, 26 UnknownPluginService, 27 UnknownDicomTag,
28 BadJson, 29 Unauthorized, 30 BadFont, 31 DatabasePlugin, 32 StorageAreaPlugin, 33 EmptyRequest, 34 NotAcceptable,
35 NullPointer, 36 DatabaseUnavailable, 37 CanceledJob, 38 BadGeometry, 39 SslInitialization, 40 DiscontinuedAbi,
41 BadRange, 42 DatabaseCannotSerialize, 43 Revision, 44 MainDicomTagsMultiplyDefined, 45 ForbiddenAccess,
46 DuplicateResource, 47 IncompatibleConfigurations, 1000 SqliteNotOpened, 1001 SqliteAlreadyOpened,
1002 SqliteCannotOpen, 1003 SqliteStatementAlreadyUsed, 1004 SqliteExecute, 1005 SqliteRollbackWithoutTransaction,
1006 SqliteCommitWithoutTransaction, 1007 SqliteRegisterFunction, 1008 SqliteFlush, 1009 SqliteCannotRun,
1010 SqliteCannotStep, 1011 SqliteBindOutOfRange, 1012 SqlitePrepareStatement, 1013 SqliteTransactionAlreadyStarted,
1014 SqliteTransactionCommit, 1015 SqliteTransactionBegin, 2000 DirectoryOverFile, 2001 FileStorageCannotWrite,
2002 DirectoryExpected, 2003 HttpPortInUse, 2004 DicomPortInUse, 2005 BadHttpStatusInRest, 2006 RegularFileExpected,
2007 PathToExecutable, 2008 MakeDirectory, 2009 BadApplicationEntityTitle, 2010 NoCFindHandler, 2011 NoCMoveHandler,
2012 NoCStoreHandler, 2013 NoApplicationEntityFilter, 2014 NoSopClassOrInstance, 2015 NoPresentationContext,
2016 DicomFindUnavailable, 2017 DicomMoveUnavailable, 2018 CannotStoreInstance, 2019 CreateDicomNotString,
2020 CreateDicomOverrideTag, 2021 CreateDicomUseContent, 2022 CreateDicomNoPayload, 2023 CreateDicomUseDataUriScheme,
2024 CreateDicomBadParent, 2025 CreateDicomParentIsInstance, 2026 CreateDicomParentEncoding, 2027 UnknownModality,
2028 BadJobOrdering, 2029 JsonToLuaTable, 2030 CannotCreateLua, 2031 CannotExecuteLua, 2032 LuaAlreadyExecuted,
2033 LuaBadOutput, 2034 NotLuaPredicate, 2035 LuaReturnsNoString, 2036 StorageAreaAlreadyRegistered,
2037 DatabaseBackendAlreadyRegistered, 2038 DatabaseNotInitialized, 2039 SslDisabled, 2040 CannotOrderSlices,
2041 NoWorklistHandler, 2042 AlreadyExistingTag, 2043 NoStorageCommitmentHandler, 2044 NoCGetHandler,
2045 DicomGetUnavailable, 3000 UnsupportedMediaType
"""

ERROR_CODES: dict[int, str] = {
    int(number): name for number, name in (entry.split() for entry in _NAMES.split(",") if entry.strip())
}


def describe(code: int) -> str:
    """The name of an error as words.

    >>> describe(47)
    'Incompatible configurations'
    """
    return " ".join(_words(ERROR_CODES.get(code, "InternalError"))).capitalize()


def _words(name: str) -> Iterator[str]:
    yield from re.findall(r"[A-Z][a-z0-9]*", name)


def listing() -> Iterator[str]:
    """A header and one line an error, as `--errors` prints them."""
    yield "Error codes of the REST API and of a refused start:"
    yield ""
    for code in sorted(ERROR_CODES):
        yield f"{code:>6}   {describe(code)}"
