"""What several tests share: the real test digits, tiny models with exact answers, the app, and a real server."""

import atexit
import base64
import contextlib
import gzip
import json
import logging
import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import time
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx2
import numpy as np
import onnx
import pytest
from fastapi.testclient import TestClient
from numpy.typing import NDArray
from onnx import TensorProto, helper
from playwright.sync_api import Browser, sync_playwright

from denoise.settings import Settings
from denoise.web.app import create_app
from tests import tools

Pixels = NDArray[np.float32]

ROOT = Path(__file__).resolve().parent.parent
MNIST = ROOT / "tests" / "mnist"
NOISY_7 = ROOT / "tests" / "digits" / "noisy_7.png"
CLEAN_7 = ROOT / "tests" / "digits" / "clean_7.png"
os.environ["PYTHONPATH"] = str(ROOT / "service")  # Every process that a test starts runs this checkout.
os.environ["DENOISE_PRECISION"] = "float32"  # The same bits everywhere, and nothing to choose at each of many starts.
# A shell starts commands in the background with SIGINT ignored, and what they start would ignore Ctrl-C as well.
signal.signal(signal.SIGINT, signal.default_int_handler)
START_S = 60
# Ray looks at these when it is imported: it tells its makers nothing, and listens on loopback alone.
os.environ |= {"RAY_USAGE_STATS_ENABLED": "0", "RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER": "0"}
if "RAY_TMPDIR" not in os.environ:  # In its usual folder another user's clusters would be in the way of these.
    # Below a longer name than this the names of Ray's sockets would be too long for Linux.
    os.environ["RAY_TMPDIR"] = tempfile.mkdtemp(prefix="ray-", dir="/tmp")
    atexit.register(shutil.rmtree, os.environ["RAY_TMPDIR"], ignore_errors=True)
INSTALLED = pytest.StashKey[list[tools.Tool]]()


def pytest_addoption(parser: pytest.Parser) -> None:
    """`make test` gives it; pytest alone changes nothing about the machine."""
    parser.addoption("--install-tools", action="store_true", help="install the programs that tests need, where allowed")


def pytest_configure(config: pytest.Config) -> None:
    """Installs the missing tools, once, before the tests are parted among processes."""
    config.addinivalue_line("markers", "needs(name): the test runs a program that tests/tools.py lists")
    if config.getoption("install_tools") and not hasattr(config, "workerinput"):
        config.stash[INSTALLED] = tools.install(tools.missing())
        if tools.IN_CI and tools.missing():
            pytest.exit(f"These tools are missing: {', '.join(map(str, tools.missing()))}.", returncode=1)


@pytest.hookimpl(tryfirst=True)
def pytest_runtest_setup(item: pytest.Item) -> None:
    """A test without its tool is skipped, before anything is started for it. In CI that is a failure."""
    marked = {mark.args[0] for mark in item.iter_markers("needs")}
    for name in marked | (tools.TOOLS.keys() & set(getattr(item, "fixturenames", ()))):
        if not tools.path(name):
            (pytest.fail if tools.IN_CI and not tools.TOOLS[name].taken_as_it_is else pytest.skip)(f"needs {name}")


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter, config: pytest.Config) -> None:
    """One line on what was installed, and one on what was skipped for want of a tool, and how to mend that."""
    if installed := config.stash.get(INSTALLED, []):
        terminalreporter.write_line(f"Installed for the tests: {', '.join(map(str, installed))}.")
    skipped = [each for each in terminalreporter.stats.get("skipped", []) if "Skipped: needs " in str(each.longrepr)]
    if skipped:
        lacking = [tool for name, tool in tools.TOOLS.items() if not tools.path(name)]
        terminalreporter.write_line(
            f"{len(skipped)} tests were skipped, since these are missing: {', '.join(map(str, lacking))}. "
            f"To run them: {tools.command(lacking)}"
        )


@pytest.fixture(scope="session")
def digits() -> Pixels:
    """The 10,000 MNIST test digits, `[10000, 28, 28]`, light ink on black, 0 … 1."""
    content = gzip.decompress((MNIST / "t10k-images-idx3-ubyte.gz").read_bytes())
    return (np.frombuffer(content, np.uint8, offset=16).reshape(-1, 28, 28) / np.float32(255)).astype(np.float32)


def tiny_model(
    *,
    task: str = "denoise",
    shape: tuple[int | str, ...] = ("batch", 28, 28, 1),
    factor: float = 1.0,
    probe_off: float = 0.0,
    without: str = "",
    input_name: str = "image",
    scores: str = "",
) -> bytes:
    """An ONNX file that keeps the models' contract and gives `factor` times the picture, which is its code as well."""
    image = helper.make_tensor_value_info(input_name, TensorProto.FLOAT, shape)
    restored = helper.make_tensor_value_info("restored", TensorProto.FLOAT, shape)
    code = helper.make_tensor_value_info("code", TensorProto.FLOAT, shape)
    graph = helper.make_graph(
        [
            helper.make_node("Mul", [input_name, "factor"], ["restored"]),
            helper.make_node("Identity", ["restored"], ["code"]),
        ],
        "tiny",
        [image],
        [restored, code],
        [helper.make_tensor("factor", TensorProto.FLOAT, [], [factor])],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=10)
    probe = np.linspace(0, 1, 28 * 28, dtype="<f4").reshape(1, 28, 28, 1)
    metadata = {
        "task": task,
        "title": "Tiny",
        "training_data": "none",
        "noise": "none",
        "scores": scores or json.dumps({"psnr": factor}),
        "date": "2026-01-01",
        "parameters": "1",
        "probe_shape": json.dumps(probe.shape),
        "probe_input": base64.b64encode(probe.tobytes()).decode(),
        "probe_restored": base64.b64encode((probe * np.float32(factor) + np.float32(probe_off)).tobytes()).decode(),
    }
    metadata.pop(without, None)
    helper.set_model_props(model, metadata)
    onnx.checker.check_model(model)
    return model.SerializeToString()


@pytest.fixture(scope="session")
def tiny_models(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder of models with exact answers: `copy` (the default) and `half` denoise, `any` takes any size."""
    folder = tmp_path_factory.mktemp("tiny_models")
    (folder / "copy.onnx").write_bytes(tiny_model())
    (folder / "half.onnx").write_bytes(tiny_model(factor=0.5))
    (folder / "any.onnx").write_bytes(tiny_model(task="reconstruct", shape=("batch", "height", "width", 1)))
    return folder


@pytest.fixture(scope="session")
def tiny(tiny_models: Path) -> Iterator[TestClient]:
    """The app with the tiny models and small limits."""
    with TestClient(create_app(Settings(models=tiny_models, max_body_bytes=100_000, max_pixels=250_000))) as client:
        yield client


@pytest.fixture(scope="session")
def real() -> Iterator[TestClient]:
    """The app with the committed models."""
    with TestClient(create_app(Settings())) as client:
        yield client


def node_modules(folder: Path, *packages: str) -> str:
    """Where Node finds packages of npm, once they are in a folder. Without npm or a network the test is skipped."""
    words = [
        "npm",
        "install",
        "--silent",
        "--no-audit",
        "--no-fund",
        "--fetch-retries=1",
        "--prefix",
        folder,
        *packages,
    ]
    if not shutil.which("npm") or subprocess.run(words, check=False, stdout=subprocess.DEVNULL).returncode:
        (pytest.fail if tools.IN_CI else pytest.skip)(f"needs npm, and a network for {', '.join(packages)}")
    return str(folder / "node_modules")


class RayCluster:
    """Two nodes on this machine, each with one CPU, and this process as a driver."""

    def __init__(self) -> None:
        import ray  # noqa: PLC0415  # takes seconds, which tests without it need not wait for
        from ray.cluster_utils import Cluster  # noqa: PLC0415

        soon = {"health_check_initial_delay_ms": 0, "health_check_period_ms": 300, "health_check_failure_threshold": 3}
        self._node = {"num_cpus": 1, "include_dashboard": False, "object_store_memory": 100 * 1024 * 1024}
        os.environ["RAY_SERVE_PROXY_READY_CHECK_TIMEOUT_S"] = str(START_S)  # In Ray's own 15 s it may not be up.
        self._cluster = Cluster()
        self._cluster.add_node(**self._node, _system_config=soon)
        self.address = self._cluster.address
        self.second = self.another()
        ray.init(self.address, log_to_driver=False, logging_level=logging.ERROR)

    def another(self) -> Any:
        """A second node, in the place of one that is lost."""
        self.second = self._cluster.add_node(**self._node)
        return self.second

    def lose(self) -> None:
        """The second node dies, with all of its processes, and another one comes up only when that is asked for."""
        self._cluster.remove_node(self.second, allow_graceful=False)

    def end(self) -> None:
        """All of it ends."""
        import ray  # noqa: PLC0415

        ray.shutdown()
        self._cluster.shutdown()


@pytest.fixture(scope="module")
def ray_cluster() -> Iterator[RayCluster]:
    """A real Ray cluster; it ends with the module, since it takes its share of the CPUs from other tests."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        cluster = RayCluster()
    yield cluster
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        cluster.end()


def wait_until(holds: Callable[[], object]) -> None:
    """Waits until something holds; fails when that takes so long that it never will."""
    until = time.monotonic() + START_S
    while not holds():
        assert time.monotonic() < until, "It never came to be."
        time.sleep(0.05)


class Server:
    """`python -m denoise` on a free port of its own, as a process."""

    def __init__(self, *before: str, **environment: str) -> None:
        """`before` is a command that runs what follows it."""
        # A pipe that nobody reads would fill and stop the server.
        self._log = tempfile.TemporaryFile("w+")  # noqa: SIM115  # closed in ended()
        self.process = subprocess.Popen(
            [*before, sys.executable, "-m", "denoise"],
            cwd=ROOT,
            env=os.environ | {"DENOISE_PORT": "0"} | environment,
            stdout=subprocess.PIPE,
            stderr=self._log,
            text=True,
        )

    def url(self) -> str:
        """The address that it prints once it is about to serve. Fails with its log when it does not start."""
        assert self.process.stdout
        found = re.search(r"http://[\d.:]+", self.process.stdout.readline())
        assert found, self.ended()
        url = found[0]
        for _ in range(START_S * 10):
            with contextlib.suppress(httpx2.ConnectError):
                httpx2.get(f"{url}/readyz")
                return url
            time.sleep(0.1)
        raise TimeoutError(self.ended(signal.SIGKILL))

    def log_so_far(self) -> str:
        """What it has logged, while it runs."""
        return os.pread(self._log.fileno(), 10_000_000, 0).decode()

    def ended(self, by: signal.Signals | None = None) -> str:
        """Its log, once it has ended: by itself, or by the signal that it is sent."""
        if by:
            self.process.send_signal(by)
        self.process.communicate(timeout=START_S)
        if not self._log.closed:
            self._log.seek(0)
            self.log = self._log.read()
            self._log.close()
        return self.log


@pytest.fixture(scope="session")
def server() -> Iterator[httpx2.Client]:
    """A real server with the committed models, for as long as the tests run."""
    running = Server(DENOISE_WORKERS="2")
    with httpx2.Client(base_url=running.url(), timeout=START_S) as client:
        yield client
    running.ended(signal.SIGINT)


@pytest.fixture(scope="module")  # its event loop would be in the way of other modules' own
def chromium() -> Iterator[Browser]:
    """A real Chromium. A test that asks for this fixture needs it as one that is marked does."""
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(
            executable_path=tools.path("chromium"),
            args=["--no-sandbox", "--disable-gpu", "--disable-background-networking", "--disable-component-update"],
        )
        yield browser
        browser.close()
