"""What a run says of itself: progress while it works, a summary at its end, and the exit status. Knows Rich."""

import signal
import sys
import time
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from types import FrameType, TracebackType
from typing import NoReturn, Self, TextIO

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, ProgressColumn, Task, TimeRemainingColumn
from rich.text import Text

from denoise.bulk.files import Failure
from denoise.bulk.plan import Plan
from denoise.errors import BadParameter, RequestError, UnknownModel

ALL_WELL, SOME_FAILED, WRONG_USAGE = 0, 1, 2
STOPPING = [getattr(signal, name) for name in ("SIGTERM", "SIGHUP") if hasattr(signal, name)]  # Windows has not all.
FEW_A_SECOND = 10
BY_SIGNAL = 128  # As shells have it, this and the signal's number is the exit status.


class Stopped(KeyboardInterrupt):
    """A signal other than Ctrl-C's asks the process to end."""


class Tally:
    """What has become of the files of a plan, counted, and shown on a terminal while this is entered."""

    def __init__(self, plan: Plan) -> None:
        self._plan = plan
        self._cleaned = 0
        self._failures: list[Failure] = []
        self._started = time.perf_counter()
        self._progress = _progress(len(plan.pictures))

    def __enter__(self) -> Self:
        self._progress.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._progress.stop()

    def expect(self, pictures: int) -> None:
        """There are so many pictures more than was known."""
        (bar,) = self._progress.tasks
        self._progress.update(bar.id, total=(bar.total or 0) + pictures)

    def show(self, pictures: int) -> None:
        """So many pictures have been worked on."""
        self._progress.advance(self._progress.task_ids[0], pictures)

    def count(self, cleaned: int, failures: Iterable[Failure] = ()) -> None:
        """So many pictures have been cleaned, and these have failed."""
        self._cleaned += cleaned
        self._failures += failures

    def summarize(self, interrupt: KeyboardInterrupt | None = None) -> int:
        """Prints how it went, and gives the exit status."""
        if interrupt:
            headline = f"Stopped after {_in_words(self._cleaned)}; the same command goes on from there"
        else:
            seconds = time.perf_counter() - self._started
            headline = f"{_in_words(self._cleaned)} in {seconds:,.1f} s, {_rate(self._cleaned / seconds)}"
        if _is_single(self._plan) and not interrupt:
            headline = ""
        status = print_summary(self._plan, self._failures, headline)
        return _status_of(interrupt) if interrupt else status


def print_summary(plan: Plan, failures: Sequence[Failure], headline: str) -> int:
    """Says on standard error how it went, each failure by its name, and gives the exit status."""
    failures = [*plan.failures, *failures]
    if headline and plan.done:
        headline += f"; {plan.done:,} done before (--overwrite cleans them anew)"
    if headline and plan.others:
        headline += f"; {plan.others:,} left out that are no pictures by their names"
    if headline:
        say(f"{headline}; {len(failures):,} failed:" if failures else f"{headline}.", sys.stderr)
    for failure in sorted(failures):
        say(f"{'  ' if headline else ''}{failure.source}: {failure.why}", sys.stderr)
    return SOME_FAILED if failures else ALL_WELL


@contextmanager
def exit_on_errors() -> Iterator[None]:
    """Ends the process with a sentence and an exit status when what is done within fails or is stopped.

    What stops it is an exception, as Ctrl-C is, so that no half file is left.
    """
    numbers = [number for number in STOPPING if signal.getsignal(number) == signal.SIG_DFL]
    for number in numbers:
        signal.signal(number, _stop)
    try:
        yield
    except (BadParameter, UnknownModel) as error:
        end(str(error), WRONG_USAGE)
    except RequestError as error:
        end(str(error), SOME_FAILED)
    except BrokenPipeError:
        raise
    except OSError as error:
        name = f"'{error.filename}' cannot be used: " if error.filename else ""
        end(f"{name}{error.strerror or error}.", SOME_FAILED)
    except KeyboardInterrupt as interrupt:
        raise SystemExit(_status_of(interrupt)) from None
    finally:
        for number in numbers:
            signal.signal(number, signal.SIG_DFL)


def end(why: str, status: int) -> NoReturn:
    """Ends the process with a sentence on standard error."""
    say(why, sys.stderr)
    raise SystemExit(status)


def say(line: str, file: TextIO | None = None) -> None:
    """Prints a line, on standard output unless a file is named."""
    print(printable(line), file=file or sys.stdout, flush=True)


def printable(text: str) -> str:
    """The text on one line, with what moves a terminal's cursor, hides or turns text written as in Python's strings."""
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in text)


def _stop(number: int, _frame: FrameType | None) -> None:
    raise Stopped(number)


def _status_of(interrupt: KeyboardInterrupt) -> int:
    return BY_SIGNAL + (interrupt.args[0] if isinstance(interrupt, Stopped) else signal.SIGINT)


class _Rate(ProgressColumn):
    """Pictures per second."""

    def render(self, task: Task) -> Text:
        """As the bar shows it."""
        return Text(_rate(task.speed) if task.speed else "", style="progress.data.speed")


def _progress(pictures: int) -> Progress:
    """A bar on standard error, where that is a terminal; it goes when it is done."""
    console = Console(stderr=True)
    columns = BarColumn(), MofNCompleteColumn(), _Rate(), TimeRemainingColumn()
    progress = Progress(*columns, console=console, transient=True, disable=not console.is_terminal)
    progress.add_task("", total=pictures)
    return progress


def _is_single(plan: Plan) -> bool:
    """Whether one picture was all there was: then no news is good news."""
    return len(plan.pictures) == 1 and not plan.arrays and not plan.done and not plan.failures


def _rate(speed: float) -> str:
    """So many pictures a second in words; few of them with two figures."""
    return f"{speed:,.0f} a second" if speed >= FEW_A_SECOND else f"{speed:.2g} a second"


def _in_words(pictures: int) -> str:
    return "1 picture" if pictures == 1 else f"{pictures:,} pictures"
