"""All kinds of files over HTTP: posted, found, read back, shown, and deleted."""

import gzip
import io
import json
import zipfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from pydicom.dataelem import DataElement
from pydicom.multival import MultiValue
from tests.servers import RunningServer, running
from tests.walks import samples as of
from tests.walks.samples import Sample

pytestmark = pytest.mark.filterwarnings("ignore::UserWarning")  # pydicom has remarks on odd values.

PNG = b"\x89PNG\r\n\x1a\n"
_TEXTS = ("AE", "AS", "CS", "DA", "DT", "LO", "LT", "PN", "SH", "ST", "TM", "UI")


@pytest.fixture(scope="module")
def stored(server: RunningServer, samples: list[Sample]) -> list[Sample]:
    """All samples, posted one by one."""
    for sample in samples:
        status, answer = server.request("POST", "/instances", sample.data)
        assert status == 200, (sample.name, answer)
        described = json.loads(answer)
        assert (described["Status"], described["ID"]) == ("Success", sample.public_id), sample.name
    return samples


def test_there_are_enough_kinds_of_samples(samples: list[Sample]) -> None:
    assert len(samples) >= 200
    assert len({sample.dataset.SOPClassUID for sample in samples}) >= 14
    assert len({sample.transfer_syntax_uid for sample in samples}) >= 14


def test_every_level_lists_what_was_posted(server: RunningServer, stored: list[Sample]) -> None:
    for depth, level in enumerate(("patients", "studies", "series", "instances"), 1):
        assert len(server.json(f"/{level}")) == len({sample.uids[:depth] for sample in stored}), level
    statistics = server.json("/statistics")
    assert statistics["CountInstances"] == len(stored)
    assert int(statistics["TotalUncompressedSize"]) == sum(sample.path.stat().st_size for sample in stored)


def test_every_file_is_read_back_bit_for_bit(server: RunningServer, stored: list[Sample]) -> None:
    for sample in stored:
        assert server.request("GET", f"/instances/{sample.public_id}/file") == (200, sample.data), sample.name


def test_every_text_is_as_pydicom_reads_it(server: RunningServer, stored: list[Sample]) -> None:
    differing = []
    for sample in stored:
        found = server.json(f"/instances/{sample.public_id}/tags?short&ignore-length=SoftwareVersions")
        for element in _plain_texts(sample):
            key = f"{element.tag.group:04x},{element.tag.element:04x}"
            ours = found.get(key)
            if ours is not None and _stripped(ours) != _stripped(_text(element)):
                differing.append((sample.name, key, ours, _text(element)))
            if ours is None and len(_text(element)) <= 256:
                differing.append((sample.name, key, ours, _text(element)))
    assert differing == []


def _plain_texts(sample: Sample) -> Iterator[DataElement]:
    for element in sample.dataset:
        if element.VR in _TEXTS and not element.tag.is_private:
            yield element


def _text(element: DataElement) -> str:
    value = element.value
    if isinstance(value, MultiValue):
        return "\\".join(map(str, value))
    return "" if value is None else str(value)


def _stripped(text: str) -> str:
    return "\\".join(part.strip(" \0\t").rstrip("=") for part in text.split("\\"))


def test_patients_are_found_by_name_in_any_script(server: RunningServer, stored: list[Sample]) -> None:
    for script, (_, name) in of.maker().NAMES.items():
        sample = next(each for each in stored if each.name == f"name-{script}")
        wanted = server.json(f"/instances/{sample.public_id}/study")["ID"]
        for group in name.split("="):
            question = {"Level": "Study", "Query": {"PatientName": f"*{group}*"}}
            assert wanted in server.json("/tools/find", question), (script, group)
        patient = server.json(f"/instances/{sample.public_id}/patient")
        assert patient["MainDicomTags"]["PatientName"] == name


def test_every_image_has_a_preview(server: RunningServer, stored: list[Sample]) -> None:
    for sample in stored:
        status, image = server.request("GET", f"/instances/{sample.public_id}/preview")
        if sample.has_pixels and sample.name not in of.UNSHOWABLE:
            assert (status, image[:8]) == (200, PNG), sample.name
        else:
            assert (status, image) == (415, b""), sample.name


def test_every_frame_can_be_had(server: RunningServer, stored: list[Sample]) -> None:
    for name, count in (("enhanced-ct", 6), ("us-multiframe", 8), ("us-multiframe-jpeg", 8), ("seg", 4)):
        sample = next(each for each in stored if each.name == name)
        assert server.json(f"/instances/{sample.public_id}/frames") == list(range(count))
        images = {
            server.request("GET", f"/instances/{sample.public_id}/frames/{n}/preview") for n in range(count)
        }
        assert {status for status, _ in images} == {200}
        assert len(images) == count, name


def test_posting_again_changes_nothing(server: RunningServer, stored: list[Sample]) -> None:
    before = server.json("/statistics")
    for sample in stored[::10]:
        answer = json.loads(server.request("POST", "/instances", sample.data)[1])
        assert (answer["Status"], answer["ID"]) == ("AlreadyStored", sample.public_id)
    assert server.json("/statistics") == before


def test_the_sizes_of_all_patients_add_up(server: RunningServer, stored: list[Sample]) -> None:
    total = int(server.json("/statistics")["TotalDiskSize"])
    for level in ("patients", "studies", "series", "instances"):
        sizes = [
            int(server.json(f"/{level}/{each}/statistics")["DiskSize"]) for each in server.json(f"/{level}")
        ]
        assert sum(sizes) == total, level


def test_what_was_cut_off_is_refused_and_the_rest_of_a_zip_kept(
    empty: RunningServer, samples: list[Sample]
) -> None:
    folder = samples[0].path.parents[1] / "real"
    cut = [of.read(folder / f"{name}.dcm") for name in sorted(of.REFUSED)]
    for sample in cut:
        status, answer = empty.request("POST", "/instances", sample.data)
        assert (status, json.loads(answer)["OrthancStatus"]) == (400, 15), sample.name
    whole = samples[:5]
    status, answer = empty.request("POST", "/instances", _zipped([cut[0], *whole, cut[1]]))
    assert (status, len(json.loads(answer))) == (200, len(whole))
    _assert_all_there(empty, whole)


@pytest.fixture
def empty(tmp_path: Path) -> Iterator[RunningServer]:
    with running(tmp_path) as server:
        yield server


def _zipped(samples: list[Sample]) -> bytes:
    archive = io.BytesIO()
    with zipfile.ZipFile(archive, "w", zipfile.ZIP_DEFLATED) as opened:
        opened.writestr("README.txt", "not DICOM")
        for sample in samples:
            opened.writestr(f"{sample.path.parent.name}/{sample.path.name}", sample.data)
    return archive.getvalue()


def _assert_all_there(server: RunningServer, samples: list[Sample]) -> None:
    assert set(server.json("/instances")) == {sample.public_id for sample in samples}
    for sample in samples:
        assert server.request("GET", f"/instances/{sample.public_id}/file") == (200, sample.data), sample.name


def test_a_zip_of_everything_is_taken_in_and_can_be_deleted(
    empty: RunningServer, samples: list[Sample]
) -> None:
    status, answer = empty.request("POST", "/instances", _zipped(samples))
    described = json.loads(answer)
    assert (status, len(described)) == (200, len(samples))
    assert {each["Status"] for each in described} == {"Success"}
    _assert_all_there(empty, samples)
    for patient in empty.json("/patients"):
        assert empty.request("DELETE", f"/patients/{patient}")[0] == 200
    assert [empty.json(f"/{level}") for level in ("patients", "studies", "series", "instances")] == [[]] * 4
    statistics = empty.json("/statistics")
    assert all(int(value) == 0 for value in statistics.values()), statistics


def test_gzip_and_forms_are_taken_in(empty: RunningServer, samples: list[Sample]) -> None:
    zipped, sent_as_form = samples[::2], samples[1::2]
    for sample in zipped:
        body = gzip.compress(sample.data, 1)
        status, answer = empty.request("POST", "/instances", body, {"Content-Encoding": "gzip"})
        assert status == 200, (sample.name, answer)
    for first in range(0, len(sent_as_form), 10):
        body = b"".join(
            b'--odd boundary\r\nContent-Disposition: form-data; name="f"; filename="x"\r\n'
            b"Content-Type: application/dicom\r\n\r\n" + sample.data + b"\r\n"
            for sample in sent_as_form[first : first + 10]
        )
        headers = {"Content-Type": 'multipart/form-data; boundary="odd boundary"'}
        status, answer = empty.request("POST", "/instances", body + b"--odd boundary--\r\n", headers)
        assert status == 200, answer
    _assert_all_there(empty, samples)
