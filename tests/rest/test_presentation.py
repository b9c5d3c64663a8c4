"""Images by the standard's whole pipeline, and by presentation states, as clients ask for them."""

from io import BytesIO
from typing import Any

import imagecodecs
import numpy as np
import pydicom
from numpy.typing import NDArray
from pydicom.dataset import Dataset
from pydicom.uid import UID
from tests.rest.builders import Server, real_file

STATE_SOP_CLASS = UID("1.2.840.10008.5.1.4.1.1.11.1")


def image(server: Server, target: str) -> NDArray[Any]:
    found: NDArray[Any] = imagecodecs.png_decode(server.bytes_of("GET", target))
    return found


def state_about(data: bytes) -> bytes:
    source = pydicom.dcmread(BytesIO(data))
    state = Dataset()
    state.file_meta = pydicom.dataset.FileMetaDataset()
    state.file_meta.TransferSyntaxUID = pydicom.uid.ExplicitVRLittleEndian
    state.SOPClassUID = state.file_meta.MediaStorageSOPClassUID = STATE_SOP_CLASS
    state.SOPInstanceUID = state.file_meta.MediaStorageSOPInstanceUID = UID("1.2.77")
    state.PatientID, state.StudyInstanceUID = source.PatientID, source.StudyInstanceUID
    state.SeriesInstanceUID, state.Modality = "1.2.78", "PR"
    reference, series, voi = Dataset(), Dataset(), Dataset()
    reference.ReferencedSOPClassUID = source.SOPClassUID
    reference.ReferencedSOPInstanceUID = source.SOPInstanceUID
    series.SeriesInstanceUID, series.ReferencedImageSequence = source.SeriesInstanceUID, [reference]
    voi.WindowCenter, voi.WindowWidth = "40", "400"
    state.ReferencedSeriesSequence, state.SoftcopyVOILUTSequence = [series], [voi]
    state.ImageRotation, state.ImageHorizontalFlip = 90, "N"
    state.PresentationLUTShape = "INVERSE"
    written = BytesIO()
    state.save_as(written, enforce_file_format=True)
    return written.getvalue()


def test_a_ct_without_a_window_is_shown_as_soft_tissue(server: Server) -> None:
    path = server.post("/instances", real_file("CT_small.dcm"))["Path"]
    assert image(server, f"{path}/rendered").max() < 8  # a window over all of 16 bits shows nothing
    shown = image(server, f"{path}/frames/0/rendered?presentation=standard")
    windowed = image(server, f"{path}/rendered?window-center=40&window-width=400")
    assert np.abs(shown.astype(int) - windowed).max() <= 2
    assert image(server, f"{path}/rendered?presentation=standard&width=32").shape == (32, 32)


def test_a_presentation_state_is_applied(server: Server) -> None:
    data = real_file("CT_small.dcm")
    path = server.post("/instances", data)["Path"]
    state = server.post("/instances", state_about(data))["ID"]
    plain = image(server, f"{path}/rendered?presentation=standard")
    shown = image(server, f"{path}/rendered?presentation={state}")
    np.testing.assert_array_equal(shown, 255 - np.rot90(plain, -1))


def test_what_is_no_presentation_of_this_image_is_refused(server: Server) -> None:
    path = server.post("/instances", real_file("CT_small.dcm"))["Path"]
    other = server.post("/instances", real_file("MR_small.dcm"))["ID"]
    assert server.failure("GET", f"{path}/rendered?presentation=nope") == (404, None)
    assert server.failure("GET", f"{path}/rendered?presentation={other}") == (415, None)
