"""The routes of the Explorer, over a small build."""

from pathlib import Path

import pytest

from hounsfield.errors import NotFound
from hounsfield.http.messages import Request, Response
from hounsfield.http.routing import Router
from hounsfield.web.assets import routes

PAGE = '<!doctype html><base href="./" /><script type="module" src="./assets/index-a1.js"></script>'


@pytest.fixture
def built(tmp_path: Path) -> Path:
    (tmp_path / "assets").mkdir()
    (tmp_path / "index.html").write_text(PAGE)
    (tmp_path / "assets/index-a1.js").write_text("let a = 1;\n" * 500)
    (tmp_path / "theme.js").write_text("let b = 1;")
    (tmp_path / "favicon.ico").write_bytes(b"\0\0\1\0")
    return tmp_path


def get(built: Path, path: str, **headers: str) -> Response:
    found = Router(routes(built)).find("GET", path)
    named = {key.replace("_", "-"): value for key, value in headers.items()}
    return found.handler(Request("GET", path, headers=named, values=found.values))


def text(response: Response) -> str:
    assert isinstance(response.body, bytes)
    return response.body.decode()


@pytest.mark.parametrize(
    ("path", "location"),
    [
        ("/", b"ui/app/"),
        ("/ui", b"ui/app/"),
        ("/ui/", b"app/"),
        ("/ui/app", b"app/"),
        ("/app/explorer.html", b"../ui/app/"),
        ("/favicon.ico", b"app/images/favicon.ico"),
    ],
)
def test_old_and_short_addresses_lead_to_the_page(built: Path, path: str, location: bytes) -> None:
    response = get(built, path)
    assert (response.status, response.header(b"location")) == (307, location)


@pytest.mark.parametrize(
    ("path", "base"),
    [
        ("/ui/app/", "./"),
        ("/ui/app/index.html", "./"),
        ("/ui/app/filtered-studies", "./"),
        ("/ui/app/studies/66a6", "../"),
        ("/ui/app/series/66a6/", "../../"),
    ],
)
def test_every_address_gives_the_page_with_the_way_to_its_root(built: Path, path: str, base: str) -> None:
    response = get(built, path)
    assert response.status == 200
    assert response.header(b"content-type") == b"text/html; charset=utf-8"
    assert f'<base href="{base}" />' in text(response)


def test_the_page_is_never_kept_and_runs_nothing_from_elsewhere(built: Path) -> None:
    response = get(built, "/ui/app/")
    assert response.header(b"cache-control") == b"no-store"
    policy = (response.header(b"content-security-policy") or b"").decode()
    assert "default-src 'none'" in policy
    assert "frame-ancestors 'self'" in policy
    assert "unsafe" not in policy
    assert response.header(b"referrer-policy") == b"no-referrer"


def test_hashed_files_are_kept_for_ever_and_sent_compressed(built: Path) -> None:
    plain = get(built, "/ui/app/assets/index-a1.js")
    packed = get(built, "/ui/app/assets/index-a1.js", accept_encoding="br, gzip;q=0.5")
    assert plain.header(b"cache-control") == b"public, max-age=31536000, immutable"
    assert plain.header(b"content-type") == b"text/javascript; charset=utf-8"
    assert packed.header(b"content-encoding") == b"gzip"
    assert isinstance(plain.body, bytes)
    assert isinstance(packed.body, bytes)
    assert len(packed.body) < len(plain.body)


def test_a_file_the_browser_has_is_not_sent_again(built: Path) -> None:
    first = get(built, "/ui/app/theme.js")
    etag = (first.header(b"etag") or b"").decode()
    assert first.header(b"cache-control") == b"no-cache"
    assert get(built, "/ui/app/theme.js", if_none_match=etag).status == 304
    assert get(built, "/ui/app/theme.js", if_none_match='"other"').status == 200


def test_a_missing_script_is_not_answered_with_the_page(built: Path) -> None:
    with pytest.raises(NotFound):
        get(built, "/ui/app/assets/index-old.js")


def test_nothing_outside_the_build_is_served(built: Path) -> None:
    (built.parent / "secret.txt").write_text("secret")
    for path in ("/ui/app/../secret.txt", "/ui/app/%2e%2e/secret.txt", "/ui/app/assets/..%2f..%2fsecret.txt"):
        try:
            response = get(built, path)
        except NotFound:
            continue
        assert "secret" not in text(response)


def test_pages_that_were_not_built_say_how_to_build_them(tmp_path: Path) -> None:
    response = get(tmp_path, "/ui/app/studies/66a6")
    assert "npm run build" in text(response)
