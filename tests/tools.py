"""The programs that some tests run, where each comes from, and their installation where that is allowed."""

import importlib.util
import os
import shutil
import subprocess
import sys
from dataclasses import dataclass
from functools import cache
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent


@dataclass(frozen=True)
class Tool:
    """A program. `least` is the version of its package from which on it does what is needed.

    One of an `environment`, a folder, comes with that. One that is `taken_as_it_is` is never installed: where there is
    none, a test that runs it is skipped, also in CI.
    """

    package: str
    commands: tuple[str, ...]
    least: str = "0"
    release: str = ""  # the first Debian that has it, where an older one is still about
    environment: str = ""
    taken_as_it_is: bool = False

    def path(self) -> str | None:
        """Where it is, by any of its names. HAProxy and nginx lie where a user's PATH does not lead."""
        everywhere = os.pathsep.join((os.environ.get("PATH", os.defpath), "/usr/sbin"))
        if self.environment:
            everywhere = str(ROOT / self.environment / "bin")
        return next(filter(None, (shutil.which(command, path=everywhere) for command in self.commands)), None)

    def __str__(self) -> str:
        """Its package in words."""
        if self.environment:
            return f"{self.package} (in {self.environment}, which `make test` makes)"
        return f"{self.package} (of {self.release} or newer)" if self.release else self.package


TOOLS = {
    "caddy": Tool("caddy", ("caddy",), release="Debian 12"),
    "chromium": Tool("chromium", ("chromium", "chromium-browser", "google-chrome", "chrome")),
    "curl": Tool("curl", ("curl",)),
    "haproxy": Tool("haproxy", ("haproxy",)),
    "java": Tool("a JDK", ("javac",), least="11", taken_as_it_is=True),
    "kubectl": Tool(
        "kubernetes-client", ("kubectl",), least="1.24", release="Debian 13"
    ),  # older ones know no `patches`
    "nginx": Tool("nginx-light", ("nginx",)),
    "node": Tool("nodejs", ("node",), least="18", release="Debian 12"),  # older ones have no `fetch`
    "openapi-generator-cli": Tool("openapi-generator-cli", ("openapi-generator-cli",), environment=".venv-clients"),
    "openapi-python-client": Tool("openapi-python-client", ("openapi-python-client",), environment=".venv-clients"),
    "promtool": Tool("prometheus", ("promtool",)),
    "wrk": Tool("wrk", ("wrk",)),
}
VENV = Tool("python3-venv", ())  # Debian's own Python comes without it
# apt-get asks nothing, and starts no server of the system's own beside those of the tests.
APT = ("env", "DEBIAN_FRONTEND=noninteractive", "RUNLEVEL=1", "SYSTEMD_OFFLINE=1", "apt-get", "-qq")
IN_CI = os.environ.get("CI") == "true"


@cache
def path(name: str) -> str | None:
    """Where a tool is; None when it is not there, or too old."""
    found = TOOLS[name].path()
    if found and name == "kubectl":
        version = subprocess.run([found, "version", "--client", "-o", "json"], capture_output=True, check=False).stdout
        return found if b"kustomizeVersion" in version else None
    return found


def missing() -> list[Tool]:
    """The tools that are not there and should be."""
    return [tool for name, tool in TOOLS.items() if not path(name) and not tool.taken_as_it_is]


def install(tools: list[Tool]) -> list[Tool]:
    """Installs those that it may and can, and gives them. It may as root or with a sudo that asks for no password."""
    sudo = _sudo()
    tools = [tool for tool in tools if not tool.environment]
    if not tools or sudo is None:
        return []
    _run(*sudo, *APT, "update")
    offered = [tool for tool in tools if _offered(tool)]
    if offered:
        packages = [tool.package for tool in offered]
        print(f"Installing {', '.join(packages)}, which the tests use ...", flush=True)
        _run(*sudo, *APT, "install", "--yes", "--no-install-recommends", *packages)
    path.cache_clear()
    still = missing()
    return [tool for tool in offered if tool not in still]


def command(tools: list[Tool]) -> str:
    """What a person types who may."""
    packages = [tool.package for tool in tools if not tool.environment and not tool.taken_as_it_is]
    return " && ".join(
        [f"sudo apt-get install {' '.join(packages)}"] * bool(packages)
        + ["make test"] * any(tool.environment for tool in tools)
    )


def _sudo() -> tuple[str, ...] | None:
    """What stands before a command that installs; None where that is not allowed, or this is no Debian or Ubuntu."""
    if not shutil.which("apt-get"):
        return None
    if os.geteuid() == 0:
        return ()
    may = (
        shutil.which("sudo")
        and subprocess.run(["sudo", "-n", "true"], capture_output=True, check=False).returncode == 0
    )
    return ("sudo", "-n") if may else None


def _offered(tool: Tool) -> bool:
    """Whether this release has the package, new enough."""
    policy = _run("apt-cache", "policy", tool.package)
    versions = [line.split()[1] for line in policy.splitlines() if line.strip().startswith("Candidate:")]
    if not versions or versions[0] == "(none)":
        return False
    compared = ["dpkg", "--compare-versions", versions[0], "ge", tool.least]
    return subprocess.run(compared, check=False).returncode == 0


def _run(*words: str) -> str:
    """What a command prints; its complaint is shown when it fails, and the tests go on without what it was for."""
    ended = subprocess.run(words, capture_output=True, check=False, text=True, stdin=subprocess.DEVNULL)
    if ended.returncode:
        print(f"{' '.join(words)} failed: {ended.stderr.strip()}", file=sys.stderr, flush=True)
    return ended.stdout


def main() -> int:
    """Before there is an environment: whether Python can make one, and if not, what to install."""
    if importlib.util.find_spec("ensurepip"):
        return 0
    install([VENV])
    importlib.invalidate_caches()
    if importlib.util.find_spec("ensurepip"):
        return 0
    print(f"This Python cannot make an environment. Try: {command([VENV])}", file=sys.stderr)
    return 1


if __name__ == "__main__":
    sys.exit(main())
