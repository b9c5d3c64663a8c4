"""What was changed is as valid as it was before, as David Clunie's `dciodvfy` sees it."""

import shutil
import subprocess
from pathlib import Path

import pytest
from pydicom.data import get_testdata_file

from hounsfield.deid.apply import Plan, apply
from hounsfield.deid.request import read_anonymization, read_modification
from hounsfield.deid.uid_map import UidMap
from hounsfield.dicom.identifiers import identify
from hounsfield.dicom.levels import Level
from hounsfield.dicom.rewriting import read_for_change, write_changed

pytestmark = pytest.mark.skipif(shutil.which("dciodvfy") is None, reason="needs dicom3tools")
_UIDS = UidMap(bytes(32))
_PLANS = {
    "anonymize": Plan(read_anonymization({}), _UIDS, "Anonymized1", "Orthanc 1.13.0"),
    "modify": Plan(
        read_modification({"Replace": {"StudyDescription": "x"}, "RemovePrivateTags": True}, Level.STUDY),
        _UIDS,
    ),
}


def _errors(path: Path) -> set[str]:
    done = subprocess.run(["dciodvfy", "-new", path], capture_output=True, check=False)
    return {line for line in done.stderr.decode("latin_1").splitlines() if line.startswith("Error")}


@pytest.mark.parametrize("word", sorted(_PLANS))
@pytest.mark.parametrize(
    "name",
    [
        "CT_small.dcm",
        "MR_small.dcm",
        "MR_small_bigendian.dcm",
        "MR_small_implicit.dcm",
        "JPEG2000.dcm",
        "US1_J2KR.dcm",
    ],
)
def test_a_change_brings_no_new_errors(tmp_path: Path, name: str, word: str) -> None:
    found = get_testdata_file(name)
    if not isinstance(found, str):
        pytest.skip(f"{name} is not there")
    head, dataset = read_for_change(Path(found).read_bytes())
    apply(_PLANS[word], dataset, identify(head.dataset))
    changed = tmp_path / "changed.dcm"
    changed.write_bytes(write_changed(head, dataset).to_bytes())
    assert _errors(changed) - _errors(Path(found)) == set()
