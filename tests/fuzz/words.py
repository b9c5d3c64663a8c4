"""Byte strings that parsers look for, by room: what random changes would take too long to find."""

from struct import pack

from hounsfield.dicom import uids

INTEGERS = tuple(
    pack(order + code, value & (1 << 8 * size) - 1)
    for code, size in (("B", 1), ("H", 2), ("I", 4), ("Q", 8))
    for order in "<>"
    for value in (0, 1, 2, -1, -2, -8, 1 << 8 * size - 1, (1 << 8 * size - 1) - 1, 0x10000, 100)
)
"""Edges of integers, in both byte orders."""

_UIDS = [uid.encode() for uid in uids.TRANSFER_SYNTAXES]
_VRS = b"AE AS AT CS DA DS DT FD FL IS LO LT OB OD OF OL OV OW PN SH SL SQ SS ST SV TM UC UI UL UN UR US UT UV".split()
_TAGS = (
    0x00020000, 0x00020010, 0x00080005, 0x00080016, 0x00080018, 0x00081140, 0x00100010, 0x00100020, 0x0020000D,
    0x0020000E, 0x00200013, 0x00280002, 0x00280004, 0x00280006, 0x00280008, 0x00280010, 0x00280011, 0x00280100,
    0x00280101, 0x00280102, 0x00280103, 0x00281050, 0x00281051, 0x00281052, 0x00281101, 0x00281201, 0x00281221,
    0x00283000, 0x30020002, 0x52009229, 0x52009230, 0x60003000, 0x7FE00001, 0x7FE00002, 0x7FE00008, 0x7FE00010,
    0xFFFEE000, 0xFFFEE00D, 0xFFFEE0DD, 0x00091001, 0x00090010, 0xFFFCFFFC,
)  # fmt: skip
_ITEM_ENDS = (
    b"\xfe\xff\x00\xe0\xff\xff\xff\xff",
    b"\xfe\xff\x0d\xe0\0\0\0\0",
    b"\xfe\xff\xdd\xe0\0\0\0\0",
    b"\x08\x00\x40\x11SQ\0\0\xff\xff\xff\xff",
    b"\xe0\x7f\x10\x00OB\0\0\xff\xff\xff\xff",
    b"\xfe\xff\x00\xe0\0\0\0\0",
)
_CHARSETS = [
    *(b"ISO_IR %d" % number for number in (6, 13, 100, 101, 109, 110, 126, 127, 138, 144, 148, 166, 192, 203)),
    *(b"ISO 2022 IR %d" % number for number in (6, 13, 58, 87, 100, 144, 149, 159, 166)),
    b"GB18030", b"GBK", b"\\", b"^", b"=", b"\0", b" ",
    b"\x1b$B", b"\x1b(J", b"\x1b(B", b"\x1b$)C", b"\x1b$)A", b"\x1b$(D", b"\x1b)I", b"\x1b-A", b"\x1b-F", b"\x1b-T",
    b"\xff\xfe", b"\xef\xbb\xbf", b"\xed\xa0\x80", b"\xf4\x90\x80\x80", b"\x81\x30\x81\x30",
]  # fmt: skip
_NUMBERS = (
    b"0 -1 1e400 -0 NaN inf 1e-400 99999999999999999999 0x10 1_000 1.5.5 +- 65536 4294967296 -2147483649 "
    b"18446744073709551616 00 .5 5. E5".split()
)
_DICOM = (
    *_UIDS,
    *_VRS,
    *(pack("<HH", tag >> 16, tag & 0xFFFF) for tag in _TAGS),
    *(pack(">HH", tag >> 16, tag & 0xFFFF) for tag in _TAGS[:12]),
    *_ITEM_ENDS,
    *_CHARSETS,
    *_NUMBERS,
    *(vr + b"\0\0\xff\xff\xff\xff" for vr in (b"SQ", b"UN", b"OB", b"UT")),
    b"DICM", b"20260101", b"235959.999999", b"20260101235959+0100", b"012Y", b"RGB", b"MONOCHROME1",
    b"PALETTE COLOR", b"YBR_FULL_422", b"YBR_RCT", b"A" * 70, b"\xff" * 8,
)  # fmt: skip
_MARKERS = (
    *(b"\xff" + bytes((code,)) for code in (*range(0xC0, 0xFF), 1, 0, 0xFF)),
    *(b"\xff" + bytes((code,)) for code in (0x4F, 0x51, 0x52, 0x55, 0x57, 0x58, 0x5C, 0x5D, 0x64, 0x90, 0x93)),
    b"jP  \r\n\x87\n", b"ftypjp2 ", b"jp2h", b"ihdr", b"colr", b"jp2c", b"pclr", b"cmap", b"cdef",
    b"\0\0\0\x0cJXL \r\n\x87\n", b"ftypjxl ", b"jxlc", b"jxlp", b"brob", b"\xff\x0a", b"Adobe", b"JFIF\0", b"SPIFF\0",
    b"mrfx", b"\x5a", b"\xa5", b"\x80\x80", b"\x7f", b"\0" * 64, b"\x01\0\0\0\x40\0\0\0", b"\x0f\0\0\0\x40\0\0\0",
)  # fmt: skip
_NET = (
    *(bytes((code, 0)) for code in (*range(1, 8), 0x10, 0x20, 0x21, 0x30, 0x40, *range(0x50, 0x5A))),
    *(bytes((code, 0, 0, size)) for code in (0x10, 0x20, 0x30, 0x40, 0x50) for size in (0, 1, 255)),
    *(pack(">BBI", code, 0, size) for code in range(1, 8) for size in (0, 4, 6, 68, 0xFFFFFFFF)),
    *(pack(">IBB", size, context, flags) for size in (2, 6, 100) for context in (0, 1, 3) for flags in range(4)),
    *(pack("<HHI", 0, element, 2) for element in (0, 2, 0x100, 0x110, 0x120, 0x700, 0x800, 0x900, 0x1000, 0x1005)),
    *_UIDS, b"1.2.840.10008.3.1.1.1", b"1.2.840.10008.1.1", b"A" * 16, b"\xff" * 16, b"9" * 65,
)  # fmt: skip
_HTTP = (
    *b"GET HEAD PUT POST DELETE OPTIONS TRACE PATCH".split(),
    *b"Accept: Content-Type: Content-Length: Transfer-Encoding: Range: Authorization: Cookie: Host: Expect:".split(),
    *b"Content-Encoding: If-None-Match: X-File-Name: X-File-Size: Content-Disposition: Content-Range:".split(),
    *b"_method= expand= expand limit=-1 since= bytes= Basic Bearer YTpi gzip chunked deflate ;q=1 ;q= */* a/*".split(),
    *b"%00 %2e%2e %2F %zz %u0041 %c0%ae %ff .. // ; ? # & = + -- --zz --zz-- boundary= filename= name= %".split(),
    b"\r\n", b"\n", b"\r", b"\r\n\r\n", b"\n\n", b'"', b'\\"', b"\0", b", ", b": ", b"; ", b"\t", b"\x85", b"\xa0",
    b"multipart/form-data", b"multipart/related; type=application/dicom", b"application/octet-stream", b"/instances",
    b"filename*=UTF-8''%e2%82%ac", b"=?utf-8?q?=41?=", b"9" * 30, b"A" * 300, b"-", b"/system", b"/content/",
    *_NUMBERS,
)  # fmt: skip
_REST = (
    *b"/patients /studies /series /instances /frames/0 /metadata/ /attachments/ /labels/ /tools/ /content/".split(),
    *b"/raw /preview /rendered /image-uint8 /numpy /tags /simplified-tags /file /archive /media /module".split(),
    *b"/shared-tags /parent /children /header /pdf /data /md5 /verify-md5 /protected /changes /statistics".split(),
    *b"expand=false since=-1 limit=999999999999999999999 requestedTags= requested-tags=PatientName; full".split(),
    *b"width=0 height=-1 width=99999 quality=101 window-center=nan window-width=0 smooth=2 _method=DELETE".split(),
    *b"%ed%a0%80 %00 %ff caf%c3%a9 0010-0010 0040-a730/0/ [0] 0/1/2 99999999999 -1 1e5".split(),
    b"\xff", b"\xc3\xa9", b"\xed\xa0\x80",
    *b'"Level" "Query" "Limit" "Since" "Expand" "Labels" "OrderBy" "MetadataQuery" "Resources" "Study"'.split(),
    *b'"ParentPatient" "ResponseContent" "RequestedTags" "PatientName" "0010,0010" "CaseSensitive"'.split(),
    *b'"*" "?" "-" "20200101-" "\\\\" "A\\\\B" "\\u0000" "\\ud800" [] {} null true 1e999 9223372036854775808'.split(),
    b"\n", b"\n\n", b"accept: ", b"range: bytes=", b"if-match: ", b"content-type: multipart/form-data; boundary=zz",
)  # fmt: skip
_CONFIG = (
    *b'{ } [ ] , : " \\ / // /* */ null true false ${A} ${NAME} ${A:-b} ${ $$ \\u0000 \\ud800 \\udc00 \\x'.split(),
    *b'"HttpPort" "DicomPort" "Name" "StorageDirectory" "RegisteredUsers" "DicomModalities" "OrthancPeers"'.split(),
    *b'"DicomAet" "Plugins" "UserMetadata" "UserContentType" "Dictionary" "Warnings" "ExtraMainDicomTags"'.split(),
    *b'"Encoding" "DefaultEncoding" "DicomTlsEnabled" "MaximumStorageSize" "JobsHistorySize" "AET" "Host"'.split(),
    b"\n", b"\t", b"\xef\xbb\xbf", b"\xff\xfe", b"\xfe\xff\0{", b"\xe2\x80\xa8", b"\x0c", b"[" * 200, b'{"a":' * 100,
    *_NUMBERS,
)  # fmt: skip
_INGEST = (
    b"PK\x03\x04", b"PK\x01\x02", b"PK\x05\x06", b"PK\x06\x06", b"PK\x06\x07", b"PK\x07\x08", b"\x01\0\x18\0",
    b"\x1f\x8b\x08\0",
    b"\x1f\x8b\x08\x1f", b"\x78\x9c", b"BZh9", b"\xfd7zXZ\0", b"\x08\0", b"\x0c\0", b"\x0e\0", b"\x5d\0",
    b"../", b"DICOMDIR", b"up", b"x" * 100, b'":', b"null", b"1e999", b"\xc3\xa9",
)  # fmt: skip

WORDS = {
    "config": _CONFIG,
    "dicom": _DICOM,
    "http": _HTTP,
    "imaging": _MARKERS,
    "imaging.file": _MARKERS + _DICOM,
    "imaging.palette": _DICOM,
    "imaging.fragments": _MARKERS + _ITEM_ENDS,
    "ingest": _INGEST,
    "ingest.indexed_file": _DICOM,
    "ingest.upload": _INGEST + _DICOM,
    "net": _NET,
    "rest": _REST + _HTTP,
}


def words(target: str) -> tuple[bytes, ...]:
    """The dictionary of a target: its own, or that of its room."""
    return tuple(WORDS.get(target) or WORDS.get(target.split(".")[0]) or INTEGERS)
