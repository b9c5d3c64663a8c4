"""The queues of what is to be sent, in a browser."""

import json
import re
from collections.abc import Iterator

import pytest
from playwright.sync_api import ConsoleMessage, Locator, Page, expect
from pydicom.uid import ExplicitVRLittleEndian
from tests.conformance.peers import CT, Receiver, make_file, upload
from tests.servers import RunningServer, free_port, running

pytestmark = [pytest.mark.browser, pytest.mark.slow]

_NAME = "Hounsfeldtest"
_COUNT = 5


@pytest.fixture
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningServer]:
    """A server with a queue for somebody who does not answer."""
    options = {
        "AuthenticationEnabled": False,
        "RemoteAccessAllowed": False,
        "StoreAndForward": {"FirstDelay": 600, "MaximumDelay": 600, "MaximumAttempts": 1},
    }
    with running(tmp_path_factory.mktemp("queues"), options) as started:
        for number in range(_COUNT):
            file = make_file(
                SOPInstanceUID=f"1.2.{number}",
                StudyInstanceUID="1.1",
                SeriesInstanceUID="1.1.1",
                PatientName=f"{_NAME}^Ada",
            )
            upload(started, file)
        _define(started, free_port())
        started.json("/modalities/pacs/store", {"Resources": started.json("/patients")})
        yield started


def _open(page: Page, server: RunningServer) -> Locator:
    page.goto(f"http://127.0.0.1:{server.http_port}/ui/app/")
    page.get_by_role("link", name=re.compile("^Queues")).click()
    expect(page.get_by_role("heading", level=1)).to_have_text("Queues")
    return page.get_by_role("listitem", name="pacs")


def _define(server: RunningServer, port: int) -> None:
    body = {"AET": "PACS", "Host": "127.0.0.1", "Port": port, "StoreAndForward": True}
    assert server.request("PUT", "/modalities/pacs", json.dumps(body).encode())[0] == 200


def test_a_queue_that_does_not_get_through_is_seen_paused_and_given_up(
    page: Page, server: RunningServer
) -> None:
    complaints: list[str] = []
    logged: list[ConsoleMessage] = []
    page.on("pageerror", lambda error: complaints.append(str(error)))
    page.on("console", lambda message: logged.append(message))
    queue = _open(page, server)
    expect(queue).to_contain_text("Retrying")
    expect(queue).to_contain_text(re.compile(f"waiting\\s*{_COUNT}"))
    expect(queue).to_contain_text("cannot be reached")
    link = page.get_by_role("link", name=f"Queues: {_COUNT} instances to be sent")
    expect(link).to_have_attribute("title", "Something does not arrive")
    assert _NAME.lower() not in page.content().lower()

    queue.get_by_role("button", name="Pause").click()
    expect(queue).to_contain_text("Paused")
    assert server.json("/forwarding/modalities/pacs")["State"] == "Paused"
    queue.get_by_role("button", name="Resume").click()
    expect(queue.get_by_role("button", name="Pause")).to_be_visible()

    queue.get_by_role("button", name="Give up").click()
    dialog = page.get_by_role("dialog")
    expect(dialog).to_contain_text(f"All ({_COUNT} instances)")
    dialog.get_by_role("button", name="Keep").click()
    assert server.json("/forwarding/modalities/pacs")["Waiting"] == _COUNT
    queue.get_by_role("button", name="Give up").click()
    dialog.get_by_role("button", name="Give up").click()
    expect(queue).to_contain_text("Idle")
    assert server.json("/forwarding/modalities/pacs")["Waiting"] == 0
    assert len(server.json("/instances")) == _COUNT
    assert complaints + [each.text for each in logged if each.type == "error"] == []


def test_what_is_held_is_redirected_and_what_failed_is_tried_again(page: Page, server: RunningServer) -> None:
    receiver = Receiver((ExplicitVRLittleEndian,), sop_classes=(CT,))
    try:
        queue = _open(page, server)
        _define(server, receiver.port)
        expect(queue).to_contain_text(re.compile(f"held\\s*{_COUNT}"))
        receiver.statuses = [0xA900]
        queue.get_by_role("button", name="Redirect").click()
        expect(queue).to_contain_text(re.compile(f"waiting\\s*{_COUNT}"))
        queue.get_by_role("button", name="Try now").click()
        expect(queue).to_contain_text(re.compile("failed\\s*1"))
        expect(queue).to_contain_text("A900")
        queue.get_by_role("button", name="Try now").click()
        expect(queue).to_contain_text(re.compile(f"sent\\s*{_COUNT}"))
        expect(queue).to_contain_text("Idle")
    finally:
        receiver.stop()
    assert sorted(str(each.SOPInstanceUID) for each in receiver.received[-_COUNT:]) == [
        f"1.2.{number}" for number in range(_COUNT)
    ]
