"""A server for the browser to talk to, and a browser."""

import os
import shutil
from collections.abc import Iterator

import pytest
from playwright.sync_api import Browser, Page, sync_playwright
from tests.servers import running

_CHROMIUM = shutil.which("chromium") or "/usr/bin/chromium"
_ARGUMENTS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]


@pytest.fixture(scope="session")
def server_url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The address of an empty server; of a running one when `HOUNSFIELD_URL` names it."""
    chosen = os.environ.get("HOUNSFIELD_URL")
    if chosen:
        yield chosen.rstrip("/")
        return
    options = {"Name": "Browser test", "RemoteAccessAllowed": False, "AuthenticationEnabled": False}
    with running(tmp_path_factory.mktemp("server"), options) as server:
        yield f"http://127.0.0.1:{server.http_port}"


@pytest.fixture(scope="session")
def browser() -> Iterator[Browser]:
    with sync_playwright() as playwright:
        chromium = playwright.chromium.launch(executable_path=_CHROMIUM, args=_ARGUMENTS)
        yield chromium
        chromium.close()


@pytest.fixture
def page(browser: Browser) -> Iterator[Page]:
    context = browser.new_context(viewport={"width": 1280, "height": 800})
    yield context.new_page()
    context.close()
