"""The Explorer in a browser, from the drop of a file to its deletion."""

import base64
import io
import re
import zipfile
from pathlib import Path

import numpy as np
import pytest
from playwright.sync_api import ConsoleMessage, Locator, Page, expect
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.uid import CTImageStorage, ExplicitVRLittleEndian, generate_uid

pytestmark = [pytest.mark.browser, pytest.mark.slow]

SLICES = 5
FAMILY = "Hounsfeldtest"


def ct_series(family: str = FAMILY) -> dict[str, bytes]:
    """A small CT study by file name: a bright disc on air, one slice brighter than the other."""
    study, series = generate_uid(), generate_uid()
    return {f"slice{i}.dcm": ct_slice(study, series, i, family) for i in range(SLICES)}


def ct_slice(study: str, series: str, number: int, family: str) -> bytes:
    rows, columns = np.mgrid[0:128, 0:128]
    disc = (rows - 64) ** 2 + (columns - 64) ** 2 < 48**2
    pixels = np.where(disc, 1024 + 20 * number + columns, 24).astype("<u2")
    data = Dataset()
    data.PatientName, data.PatientID, data.PatientBirthDate = f"{family}^Ada", "EXP-1", "19701231"
    data.StudyDescription, data.SeriesDescription, data.StudyDate = "Thorax^Routine", "Axial 5 mm", "20260102"
    data.AccessionNumber, data.Modality, data.SeriesNumber = "ACC-EXP-1", "CT", 2
    data.StudyInstanceUID, data.SeriesInstanceUID, data.SOPInstanceUID = study, series, generate_uid()
    data.SOPClassUID, data.InstanceNumber, data.StudyTime, data.StudyID = (
        CTImageStorage,
        number + 1,
        "101500",
        "1",
    )
    data.ImagePositionPatient, data.ImageOrientationPatient = [0, 0, 5 * number], [1, 0, 0, 0, 1, 0]
    data.Rows, data.Columns, data.SamplesPerPixel, data.PhotometricInterpretation = 128, 128, 1, "MONOCHROME2"
    data.BitsAllocated, data.BitsStored, data.HighBit, data.PixelRepresentation = 16, 12, 11, 0
    data.RescaleSlope, data.RescaleIntercept, data.WindowCenter, data.WindowWidth = 1, -1024, 40, 400
    data.PixelData = pixels.tobytes()
    data.file_meta = FileMetaDataset()
    data.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    buffer = io.BytesIO()
    data.save_as(buffer, enforce_file_format=True)
    return buffer.getvalue()


def drop(page: Page, files: dict[str, bytes]) -> None:
    """Let files fall on the page as if dragged from the desktop."""
    encoded = [[name, base64.b64encode(content).decode()] for name, content in files.items()]
    transfer = page.evaluate_handle(
        """files => {
            const transfer = new DataTransfer();
            for (const [name, text] of files)
                transfer.items.add(new File([Uint8Array.from(atob(text), c => c.charCodeAt(0))], name));
            return transfer;
        }""",
        encoded,
    )
    for event in ("dragenter", "dragover", "drop"):
        page.dispatch_event("body", event, {"dataTransfer": transfer})


def picture(page: Page) -> list[int]:
    """Grey levels across the middle of the image in view."""
    levels: list[int] = page.evaluate(
        """() => {
            const canvas = document.querySelector("canvas");
            const line = canvas.getContext("2d").getImageData(0, canvas.height >> 1, canvas.width, 1).data;
            return Array.from({ length: canvas.width }, (_, i) => line[4 * i]);
        }"""
    )
    return levels


def rows(page: Page) -> Locator:
    return page.locator("tbody tr", has_text=FAMILY.upper())


def wait_for_picture(page: Page, *, other_than: list[int]) -> list[int]:
    expect(page.locator("canvas")).to_be_visible()
    page.wait_for_function(
        """before => {
            const canvas = document.querySelector("canvas");
            const line = canvas.getContext("2d").getImageData(0, canvas.height >> 1, canvas.width, 1).data;
            const now = Array.from({ length: canvas.width }, (_, i) => line[4 * i]);
            return Math.max(...now) > 0 && JSON.stringify(now) !== JSON.stringify(before);
        }""",
        arg=other_than,
    )
    return picture(page)


@pytest.fixture
def complaints(page: Page) -> list[str]:
    """What the browser complains of (errors of scripts, refused resources, broken policies), and names in its log."""
    found: list[str] = []

    def listen(message: ConsoleMessage) -> None:
        place = message.location.get("url", "")
        if message.type == "error" or FAMILY.lower() in message.text.lower():
            found.append(f"{message.text} {place}")

    page.on("pageerror", lambda error: found.append(str(error)))
    page.on("console", listen)
    return found


def test_a_study_is_dropped_found_seen_windowed_and_deleted(
    page: Page, server_url: str, complaints: list[str]
) -> None:
    page.goto(f"{server_url}/")
    expect(page).to_have_url(f"{server_url}/ui/app/")
    drop(page, ct_series())
    expect(page.get_by_role("region", name="Upload")).to_contain_text(f"{SLICES} stored")

    # It arrives in the list without a reload, and is found by the start of its name.
    expect(rows(page)).to_have_count(1)
    page.get_by_role("button", name="Close the upload").click()
    page.get_by_label("Search in Patient name").fill('"hounsf')
    expect(page).to_have_url(re.compile("PatientName="))
    expect(rows(page)).to_have_count(1)
    expect(rows(page)).to_contain_text("1970-12-31")
    page.get_by_label("Search in Patient name").fill("nobody at all")
    expect(page.get_by_text("No study matches")).to_be_visible()
    page.go_back()
    expect(rows(page)).to_have_count(1)

    rows(page).get_by_role("link").click()
    expect(page.get_by_role("heading", level=1)).to_have_text(f"{FAMILY.upper()}, Ada")
    expect(page.locator("img")).to_have_count(1)
    page.get_by_role("link", name=re.compile("Axial 5 mm")).click()

    first = wait_for_picture(page, other_than=[])
    assert max(first) > 100
    page.keyboard.press("ArrowDown")
    expect(page.get_by_text(f"4 / {SLICES}").first).to_be_visible()
    second = wait_for_picture(page, other_than=first)
    page.get_by_label("Window", exact=True).select_option(label="Bone (480 / 2500)")
    third = wait_for_picture(page, other_than=second)
    box = page.locator(".viewport").bounding_box()
    assert box is not None
    page.mouse.move(box["x"] + 300, box["y"] + 300)
    page.mouse.down()
    page.mouse.move(box["x"] + 150, box["y"] + 280, steps=8)
    page.mouse.up()
    wait_for_picture(page, other_than=third)
    assert FAMILY.lower() not in page.title().lower()

    page.get_by_role("link", name="Study", exact=True).click()
    page.get_by_role("button", name="Delete").click()
    dialog = page.get_by_role("dialog")
    expect(dialog).to_contain_text(f"1 series, {SLICES} instances")
    dialog.get_by_role("button", name="Delete the study").click()
    expect(page.get_by_text("The study was deleted.")).to_be_visible()
    expect(rows(page)).to_have_count(0)
    assert complaints == []


def test_a_folder_and_a_zip_are_sent_and_what_is_no_dicom_is_told(
    page: Page, server_url: str, tmp_path: Path
) -> None:
    files = ct_series("Foldertest")
    for name, content in files.items():
        path = tmp_path / "cd" / "images" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
    (tmp_path / "cd" / "readme.txt").write_text("not an image")
    (tmp_path / "cd" / "DICOMDIR").write_text("left out")
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w") as archive:
        for name, content in files.items():
            archive.writestr(name, content)

    page.goto(f"{server_url}/ui/app/")
    drop(page, {"study.zip": packed.getvalue()})
    panel = page.get_by_role("region", name="Upload")
    expect(panel).to_contain_text(f"{SLICES} stored")
    with page.expect_file_chooser() as chooser:
        panel.get_by_role("button", name="Add a folder").click()
    chooser.value.set_files(tmp_path / "cd")
    expect(panel).to_contain_text(f"{SLICES} already stored")
    expect(panel).to_contain_text("1 refused")
    expect(panel).to_contain_text("Not a DICOM file.")
    expect(panel).not_to_contain_text("DICOMDIR")
    panel.get_by_role("link", name=re.compile("FOLDERTEST")).click()
    expect(page.get_by_role("heading", level=1)).to_have_text("FOLDERTEST, Ada")


def test_deep_links_and_the_tags_of_an_instance_work(page: Page, server_url: str) -> None:
    page.goto(f"{server_url}/ui/app/")
    drop(page, ct_series("Tagstest"))
    panel = page.get_by_role("region", name="Upload")
    panel.get_by_role("link", name=re.compile("TAGSTEST")).click()
    page.get_by_role("link", name=re.compile("Axial 5 mm")).click()
    wait_for_picture(page, other_than=[])
    page.get_by_role("link", name="Tags", exact=True).click()
    expect(page.get_by_role("heading", level=1)).to_contain_text("Instance")
    page.reload()
    page.get_by_label("Search tags").fill("accession")
    expect(page.locator("tbody tr")).to_have_count(1)
    expect(page.locator("tbody")).to_contain_text("ACC-EXP-1")

    # Addresses of the older pages open the new ones.
    new = page.url
    page.goto(f"{server_url}/app/explorer.html#instance?uuid={new.rpartition('/')[2]}")
    expect(page).to_have_url(new)
    expect(page.get_by_role("heading", level=1)).to_contain_text("Instance")


def test_the_theme_is_remembered(page: Page, server_url: str) -> None:
    page.emulate_media(color_scheme="light")
    page.goto(f"{server_url}/ui/app/")
    ground = "getComputedStyle(document.body).backgroundColor"
    light = page.evaluate(ground)
    for _ in range(2):
        page.get_by_role("button", name=re.compile("Switch to")).click()
    assert page.evaluate(ground) != light
    page.reload()
    assert page.evaluate(ground) != light
