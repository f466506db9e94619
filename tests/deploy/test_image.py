"""The image says what it is, and can be built for any processor that its packages are there for."""

import re

from denoise import __version__
from tests.conftest import ROOT

DOCKERFILE = (ROOT / "Dockerfile").read_text(encoding="utf-8")
PINS = (ROOT / "requirements" / "cpu.txt").read_text(encoding="utf-8")


def test_its_labels_tell_version_commit_licence_and_base() -> None:
    labels = dict(re.findall(r'org\.opencontainers\.image\.([\w.]+)="(.*?)"', DOCKERFILE))
    assert labels["version"] == __version__
    assert labels["licenses"] == "MIT"
    assert (labels["revision"], labels["base.name"]) == ("${REVISION}", "${BASE}")


def test_it_names_no_processor_and_only_openvino_is_for_one() -> None:
    assert not re.search(r"x86|amd64|arm64|aarch64|--platform", DOCKERFILE)
    bound = re.findall(r"^([\w-]+)==.*platform_machine", PINS, re.MULTILINE)
    assert all(name.startswith(("openvino", "onnxruntime-ep-openvino")) for name in bound), bound
