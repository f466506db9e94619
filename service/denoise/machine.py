"""What this machine gives a process: CPUs, memory and files, as its affinity and its limits allow."""

import contextlib
import ctypes
import os
import sys
from pathlib import Path

if sys.platform != "win32":
    import resource

CGROUP = Path("/sys/fs/cgroup")
MEMORY_LIMITS = (CGROUP / "memory.max", CGROUP / "memory" / "memory.limit_in_bytes")
# Control groups without a limit name one of more bytes than this.
NO_LIMIT = 1 << 60
# mallopt(3)'s M_ARENA_MAX, and M_MMAP_THRESHOLD and M_TRIM_THRESHOLD in bytes. Smaller blocks are kept for the next:
# with a threshold of 1 MiB, to clear new ones took two thirds of the CPU time of a picture of half a megapixel.
MALLOC_OPTIONS = {-8: 2, -3: 8 << 20, -1: 16 << 20}


def cpus() -> int:
    """How many CPUs this process may use: its affinity, and the quota of the container (cgroup v2 or v1) it is in."""
    count = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    return max(1, min(count, int(_quota(CGROUP) or count)))


def _quota(cgroup: Path) -> float | None:
    """CPUs that the control group at `cgroup` allows; None when it sets no limit."""
    with contextlib.suppress(OSError, ValueError):  # Where the file is missing or says `max`, there is no limit.
        quota, period = (cgroup / "cpu.max").read_text().split()
        return int(quota) / int(period)
    with contextlib.suppress(OSError, ValueError):
        quota, period = ((cgroup / "cpu" / f"cpu.cfs_{name}_us").read_text() for name in ("quota", "period"))
        return int(quota) / int(period) if int(quota) > 0 else None
    return None


def memory() -> str:
    """In words, how much memory this process may use: the limit of its control group, or all there is."""
    for path in MEMORY_LIMITS:
        if path.is_file() and (limit := path.read_text().strip()).isdigit() and int(limit) < NO_LIMIT:
            return f"{int(limit) / 2**30:.1f} GiB, by the container's limit"
    lines = Path("/proc/meminfo")
    if lines.is_file():
        total = next(line.split()[1] for line in lines.read_text().splitlines() if line.startswith("MemTotal"))
        return f"{int(total) / 2**20:.1f} GiB, no limit"
    return "not known"


def return_memory_early() -> None:
    """Has glibc give large blocks back to the system, and all threads share two arenas (mallopt(3)).

    By default each of the threads that large pictures are worked on in may keep what the largest one took.
    """
    with contextlib.suppress(AttributeError, OSError, TypeError):  # Another C library has no mallopt.
        for option, value in MALLOC_OPTIONS.items():
            ctypes.CDLL(None).mallopt(option, value)


def allow_files(wanted: int) -> int:
    """Has the system allow this process as many open files, and gives how many it allows: at most `wanted`."""
    if sys.platform == "win32":  # Windows has no such limit.
        return wanted
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft == resource.RLIM_INFINITY or soft >= wanted:
        return wanted
    allowed = wanted if hard == resource.RLIM_INFINITY else min(wanted, hard)
    try:
        resource.setrlimit(resource.RLIMIT_NOFILE, (allowed, hard))
    except (ValueError, OSError):  # The kernel may have a lower limit than the one that it tells.
        return int(soft)
    return allowed
