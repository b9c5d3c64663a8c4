"""What all the tests share: how long hypothesis may think, and which tests need software that is not here."""

import shutil
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings

settings.register_profile(
    "house", deadline=None, max_examples=100, suppress_health_check=[HealthCheck.too_slow], print_blob=True
)
settings.load_profile("house")

# pynetdicom puts tools of the same names into the virtual environment, so the absolute path is asked for.
_NEEDS = {
    "dcmtk": (Path("/usr/bin/storescu"), "DCMTK is not installed"),
    "browser": (Path(shutil.which("chromium") or "/usr/bin/chromium"), "Chromium is not installed"),
}


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        for marker, (tool, reason) in _NEEDS.items():
            if item.get_closest_marker(marker) is not None and not tool.exists():
                item.add_marker(pytest.mark.skip(reason=reason))
