"""What installing costs: the packages, their wheels and their size on disk, without downloading the large ones.

    python -m benchmarks.install_size [--install] REQUIREMENT... ["REQUIREMENT IMPORT"]

such as `. ultralytics "rtmlib import rtmlib" ". from posetalk import Detector, Localizer"`.

Each requirement (a folder, or a name on PyPI) is resolved by itself with `uv pip compile` for CPython 3.11 on x86-64
Linux. The size of a wheel is that of its download, the size on disk that of its files, which are read off the table of
contents at its end. With --install those with an import are installed too, each into an empty environment: what then
lies there is measured, compiled bytecode included, and the median time of five fresh processes that run the import.
Needs uv and a connection to PyPI.
"""

from __future__ import annotations

import argparse
import io
import json
import re
import statistics
import subprocess
import sys
import tempfile
import time
import tomllib
import zipfile
from pathlib import Path
from typing import Any
from urllib.request import Request, urlopen

from benchmarks.measure import show

INDEX = "https://pypi.org/simple"
TAIL = 2**18  # bytes read at once from the end of a wheel
PLATFORM = re.compile(
    r"(cp311-cp311|cp3\d+-abi3|cp3\d+-none|py3|py2\.py3)-\S*?(manylinux\S*x86_64|any)\.whl$"
)


class RemoteFile(io.RawIOBase):
    """A file on a server, of which the parts that are asked for are fetched."""

    def __init__(self, url: str, size: int) -> None:
        self.url, self.size, self.at = url, size, 0

    def seekable(self) -> bool:
        return True

    def readable(self) -> bool:
        return True

    def tell(self) -> int:
        return self.at

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        self.at = offset + {io.SEEK_SET: 0, io.SEEK_CUR: self.at, io.SEEK_END: self.size}[whence]
        return self.at

    def readinto(self, buffer: Any) -> int:
        end = min(self.at + len(buffer), self.size)
        if self.at >= end:
            return 0
        request = Request(self.url, headers={"Range": f"bytes={self.at}-{end - 1}"})
        with urlopen(request) as answer:
            data = answer.read()
        buffer[: len(data)] = data
        self.at += len(data)
        return len(data)


def resolved(requirement: str) -> list[tuple[str, str]]:
    """Names and versions of all packages that a requirement brings, without a folder's own."""
    folder = Path(requirement).is_dir()
    text = requirement
    if folder:
        project = tomllib.loads((Path(requirement) / "pyproject.toml").read_text())["project"]
        text = "\n".join(project["dependencies"])
    command = [
        "uv",
        "pip",
        "compile",
        "--no-config",
        "--python-version",
        "3.11",
        "--no-annotate",
        "--no-header",
    ]
    command += ["--python-platform", "x86_64-unknown-linux-gnu", "-q", "-"]
    done = subprocess.run(command, input=text, capture_output=True, text=True, check=True)
    return re.findall(r"^([\w.-]+)==(\S+)$", done.stdout, re.MULTILINE)


def own_wheel(folder: str) -> tuple[int, int]:
    """Bytes of a folder's own wheel, packed and unpacked."""
    with tempfile.TemporaryDirectory() as name:
        subprocess.run(["uv", "build", "-q", "--wheel", "--out-dir", name, folder], check=True)
        wheel = next(Path(name).glob("*.whl"))
        with zipfile.ZipFile(wheel) as archive:
            return wheel.stat().st_size, sum(part.file_size for part in archive.infolist())


def wheel_sizes(name: str, version: str) -> tuple[int, int]:
    """Bytes of a package's wheel, packed and unpacked."""
    accept = {"Accept": "application/vnd.pypi.simple.v1+json"}
    with urlopen(Request(f"{INDEX}/{name}/", headers=accept)) as answer:
        files = json.load(answer)["files"]
    stem = f"-{version}-"
    fitting = [file for file in files if stem in file["filename"] and PLATFORM.search(file["filename"])]
    file = min(fitting, key=lambda file: "cp311-cp311" not in file["filename"])
    with zipfile.ZipFile(io.BufferedReader(RemoteFile(file["url"], file["size"]), TAIL)) as archive:
        return int(file["size"]), sum(part.file_size for part in archive.infolist())


def installed(requirement: str, code: str) -> tuple[int, float]:
    """Bytes in a new environment after installing, and the seconds of an import."""
    with tempfile.TemporaryDirectory() as name:
        python = Path(name) / "bin" / "python"
        subprocess.run([sys.executable, "-m", "venv", "--without-pip", name], check=True)
        install = ["uv", "pip", "install", "-q", "--no-config", "--python", python, "--compile-bytecode"]
        subprocess.run([*install, requirement], check=True)
        size = sum(file.lstat().st_size for file in Path(name).rglob("*"))
        seconds = []
        for _ in range(6):  # the first reads the files from disk
            begun = time.perf_counter()
            subprocess.run([python, "-c", code], check=True, cwd=name)
            seconds.append(time.perf_counter() - begun)
        return size, statistics.median(seconds[1:])


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("requirements", nargs="+")
    parser.add_argument("--install", action="store_true")
    given = parser.parse_args()
    rows, data = [], {}
    for text in given.requirements:
        requirement, _, code = text.partition(" ")
        sizes = {f"{name}=={version}": wheel_sizes(name, version) for name, version in resolved(requirement)}
        if Path(requirement).is_dir():
            sizes[requirement] = own_wheel(requirement)
        packed, unpacked = (sum(size[n] for size in sizes.values()) / 1e6 for n in (0, 1))
        data[requirement] = {"packages": sizes}
        row = [requirement, str(len(sizes)), f"{packed:,.0f}", f"{unpacked:,.0f}"]
        if given.install and code:
            size, seconds = installed(requirement, code)
            data[requirement] |= {"installed": size, "import_seconds": seconds}
            row += [f"{size / 1e6:,.0f}", f"{seconds:.2f}"]
        elif given.install:
            row += ["", ""]
        rows.append(row)
    header = ["requirement", "packages", "MB of wheels", "MB of their files"]
    header += ["MB installed", "seconds of an import"] if given.install else []
    show("install_size", "What installing costs", header, rows, data)


if __name__ == "__main__":
    main()
