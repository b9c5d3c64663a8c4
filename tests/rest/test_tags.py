import orjson
import pytest
from pydicom.dataset import Dataset
from pydicom.sequence import Sequence
from tests.rest.builders import Server, ids, real_file, slice_file

from hounsfield.http.messages import FileBody

INSTANCE = ids()[3]


def referenced(*uids: str) -> Sequence:
    items = []
    for uid in uids:
        item = Dataset()
        item.ReferencedSOPInstanceUID = uid
        items.append(item)
    return Sequence(items)


@pytest.fixture
def filled(server: Server) -> Server:
    server.post(
        "/instances", slice_file(ReferencedImageSequence=referenced("1.2", "1.3"), ImageComments="x" * 300)
    )
    return server


PATH = f"/instances/{INSTANCE}"


def test_the_file_is_the_one_that_was_sent(filled: Server) -> None:
    response = filled.ask("GET", f"{PATH}/file")
    assert isinstance(response.body, FileBody)
    sent = slice_file(ReferencedImageSequence=referenced("1.2", "1.3"), ImageComments="x" * 300)
    assert response.body.path.read_bytes()[: response.body.length] == sent
    assert response.header(b"content-type") == b"application/dicom"
    assert response.header(b"content-disposition") == f'filename="{INSTANCE}.dcm"'.encode()
    assert (
        filled.ask("GET", f"{PATH}/file?filename=a%0d%0a%22b.dcm").header(b"content-disposition")
        == b'filename="ab.dcm"'
    )
    assert filled.failure("GET", f"{PATH}/file?transcode=1.2.3.nope") == (400, 3)


def test_the_file_can_be_had_in_the_forms_of_dicomweb(filled: Server) -> None:
    model = filled.get(f"{PATH}/file", accept="application/dicom+json")
    assert model["00100020"] == {"vr": "LO", "Value": ["P1"]}
    assert model["7FE00010"] == {"vr": "OW", "InlineBinary": "AAAQACAAMAA="}
    assert not any(key.startswith("0002") for key in model)
    response = filled.ask("GET", f"{PATH}/file", b"", accept="application/dicom+xml")
    assert response.header(b"content-type") == b"application/dicom+xml"
    assert isinstance(response.body, bytes)
    assert b'keyword="PatientID"' in response.body
    assert filled.ask("GET", f"{PATH}/file", b"", accept="application/dicom+json, */*").header(
        b"content-disposition"
    )


def test_tags_come_in_three_formats(filled: Server) -> None:
    assert filled.get(f"{PATH}/tags")["0010,0020"] == {"Name": "PatientID", "Type": "String", "Value": "P1"}
    assert filled.get(f"{PATH}/tags?short")["0010,0020"] == "P1"
    assert filled.get(f"{PATH}/tags?simplify")["PatientID"] == "P1"
    assert filled.get(f"{PATH}/simplified-tags") == filled.get(f"{PATH}/tags?simplify")
    assert filled.get(f"{PATH}/simplified-tags")["ReferencedImageSequence"] == [
        {"ReferencedSOPInstanceUID": "1.2"},
        {"ReferencedSOPInstanceUID": "1.3"},
    ]


def test_long_values_are_given_only_on_demand(filled: Server) -> None:
    assert filled.get(f"{PATH}/tags")["0020,4000"]["Type"] == "TooLong"
    assert filled.get(f"{PATH}/simplified-tags")["ImageComments"] is None
    for names in ("ImageComments", "0020,4000", "0020-4000,PatientName", "PatientName,0020,4000"):
        assert filled.get(f"{PATH}/simplified-tags?ignore-length={names}")["ImageComments"] == "x" * 300


def test_an_answer_kept_in_memory_is_the_same(filled: Server) -> None:
    route = next(each for each in filled.host.routes if each.pattern == "/instances/{id}/tags")
    assert route.at_hand is not None
    first, second = filled.ask("GET", f"{PATH}/tags").body, filled.ask("GET", f"{PATH}/tags").body
    assert first == second
    assert isinstance(first, bytes)
    assert orjson.loads(first) == filled.get(f"{PATH}/tags?full")


def test_the_header_is_the_meta_information(filled: Server) -> None:
    assert filled.get(f"{PATH}/header")["0002,0010"]["Value"] == "1.2.840.10008.1.2.1"
    assert filled.get(f"{PATH}/header")["0002,0000"]["Type"] == "String"
    assert not {"PatientID", "FileMetaInformationVersion"} & set(filled.get(f"{PATH}/header?simplify"))


def test_content_is_a_tree(filled: Server) -> None:
    names = filled.get(f"{PATH}/content")
    assert names == sorted(names)
    assert {"0010-0010", "7fe0-0010", "0008-1140"} <= set(names)
    assert filled.get(f"{PATH}/content/0008-1140") == ["0", "1"]
    assert filled.get(f"{PATH}/content/0008-1140/1") == ["0008-1155"]
    assert filled.ask("GET", f"{PATH}/content/ReferencedImageSequence/1/0008,1155").body == b"1.3\0"
    assert filled.ask("GET", f"{PATH}/content/PatientName").body == b"DOE^P1"
    assert filled.get(f"{PATH}/content/7fe0-0010") == ["0"]
    pixels = filled.ask("GET", f"{PATH}/content/7fe0-0010/0").body
    assert isinstance(pixels, FileBody), "the pixels of a large instance would fill the memory"
    found = pixels.path.read_bytes()[pixels.offset : pixels.offset + pixels.length]
    assert found == b"\0\0\x10\0\x20\0\x30\0"


@pytest.mark.parametrize(
    "path",
    ["0010-1010", "0008-1140/2", "0008-1140/a", "0008-1140/-1", "0008-1140/0/0010-0010", "PatientName/0", "0002-0010",
     "7fe0-0010/1", "7fe0-0010/0/0", "0008-1140/0/0008-1155/0"],
)  # fmt: skip
def test_content_that_is_not_there_has_no_answer(filled: Server, path: str) -> None:
    assert filled.failure("GET", f"{PATH}/content/{path}") == (404, None)


def test_an_unknown_name_in_content_is_an_error(filled: Server) -> None:
    assert filled.failure("GET", f"{PATH}/content/Nope") == (500, 27)


def test_content_lists_what_comes_after_the_pixels(server: Server) -> None:
    path = server.post("/instances", real_file("MR_small.dcm"))["Path"]
    assert server.get(f"{path}/content")[-2:] == ["7fe0-0010", "fffc-fffc"]


def test_encapsulated_pixels_are_listed_by_fragment(server: Server) -> None:
    path = server.post("/instances", real_file("MR_small_RLE.dcm"))["Path"]
    assert server.get(f"{path}/content/7fe0-0010") == ["0", "1"]
    body = server.ask("GET", f"{path}/content/7fe0-0010/1").body
    assert isinstance(body, bytes)
    assert len(body) > 1000
    assert body == server.bytes_of("GET", f"{path}/frames/0/raw")


@pytest.mark.parametrize(
    "name", ["file", "tags", "simplified-tags", "header", "content", "content/0010-0010", "frames", "pdf"]
)
def test_an_unknown_instance_is_an_error_with_a_body(server: Server, name: str) -> None:
    assert server.failure("GET", f"/instances/nope/{name}") == (404, 17)


def test_a_document_comes_out_of_its_instance(server: Server) -> None:
    pdf = "1.2.840.10008.5.1.4.1.1.104.1"
    server.post(
        "/instances",
        slice_file(
            SOPClassUID=pdf,
            EncapsulatedDocument=b"%PDF-1.4 \0",
            MIMETypeOfEncapsulatedDocument="application/pdf",
        ),
    )
    response = server.ask("GET", f"{PATH}/pdf")
    assert (response.header(b"content-type"), response.body) == (b"application/pdf", b"%PDF-1.4 ")


def test_other_instances_hold_no_document(filled: Server) -> None:
    assert filled.failure("GET", f"{PATH}/pdf") == (404, None)


@pytest.mark.parametrize(
    ("target", "accept", "mime", "magic"),
    [
        ("preview", "", b"image/png", b"\x89PNG"),
        ("preview", "image/jpeg", b"image/jpeg", b"\xff\xd8"),
        ("frames/0/rendered", "image/x-portable-arbitrarymap", b"image/x-portable-arbitrarymap", b"P7"),
        (
            "rendered?width=16&height=0&smooth=1&window-center=10&window-width=20.5",
            "*/*",
            b"image/png",
            b"\x89PNG",
        ),
        ("image-uint8", "image/*", b"image/png", b"\x89PNG"),
        ("frames/0/image-uint16", "", b"image/png", b"\x89PNG"),
        ("image-int16?quality=50", "", b"image/png", b"\x89PNG"),
    ],
)
def test_images_are_made_of_frames(
    filled: Server, target: str, accept: str, mime: bytes, magic: bytes
) -> None:
    response = filled.ask("GET", f"{PATH}/{target}", b"", **({"accept": accept} if accept else {}))
    assert isinstance(response.body, bytes)
    assert (response.status, response.header(b"content-type")) == (200, mime)
    assert response.body.startswith(magic)


@pytest.mark.parametrize(
    ("target", "accept", "status"),
    [
        ("frames/a/preview", "", 404),
        ("frames/1/preview", "", 415),
        ("frames/-1/preview", "", 415),
        ("preview", "text/html", 404),
        ("image-uint16", "image/jpeg", 404),
        ("preview?quality=0", "", 415),
        ("preview?quality=a", "", 415),
        ("rendered?width=a", "", 404),
        ("rendered?height=-1", "", 404),
        ("rendered?window-center=a&window-width=1", "", 404),
        ("rendered?window-center=nan&window-width=1", "", 404),
        ("rendered?smooth=a", "", 415),
        ("rendered?width=99999999", "", 415),
    ],
)
def test_images_that_cannot_be_made_have_no_body(
    filled: Server, target: str, accept: str, status: int
) -> None:
    headers = {"accept": accept} if accept else {}
    assert filled.failure("GET", f"{PATH}/{target}", **headers) == (status, None)


def test_an_image_of_nothing_can_be_a_sign_instead(server: Server) -> None:
    server.post("/instances", slice_file(PixelData=None))
    assert server.failure("GET", f"{PATH}/preview?returnUnsupportedImage=false") == (415, None)
    for target, expected in (
        ("preview", b"../../app/images/unsupported.png"),
        ("frames/0/preview", b"../../../../app/images/unsupported.png"),
    ):
        response = server.ask("GET", f"{PATH}/{target}?returnUnsupportedImage")
        assert (response.status, response.header(b"location")) == (307, expected)


def test_frames_are_listed_and_given_as_stored(filled: Server) -> None:
    assert filled.get(f"{PATH}/frames") == [0]
    raw = f"{PATH}/frames/0/raw"
    assert filled.ask("GET", raw).header(b"content-type") == b"application/octet-stream"
    assert filled.bytes_of("GET", raw) == b"\0\0\x10\0\x20\0\x30\0"
    assert filled.ask("GET", f"{PATH}/frames/0/raw.gz").header(b"content-type") == b"application/gzip"
    assert filled.failure("GET", f"{PATH}/frames/1/raw") == (400, 3)
    assert filled.failure("GET", f"{PATH}/frames/a/raw") == (404, None)
    assert filled.failure("GET", "/instances/nope/frames/0/raw") == (404, 17)
    assert filled.failure("GET", "/instances/nope/preview") == (404, None)


def test_an_instance_without_pixels_counts_as_one_frame_that_is_not_there(server: Server) -> None:
    server.post("/instances", slice_file(PixelData=None))
    assert server.get(f"{PATH}/frames") == [0]
    assert server.failure("GET", f"{PATH}/frames/0/raw") == (400, 8)


@pytest.mark.parametrize(
    ("name", "mime"), [("JPEG2000.dcm", b"image/jp2"), ("SC_rgb_jpeg_dcmtk.dcm", b"image/jpeg")]
)
def test_a_bit_stream_has_the_type_of_its_syntax(server: Server, name: str, mime: bytes) -> None:
    path = server.post("/instances", real_file(name))["Path"]
    assert server.ask("GET", f"{path}/frames/0/raw").header(b"content-type") == mime
