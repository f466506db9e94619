"""`denoise --digits`: the digits of pages, as an array or as folders of PNGs with a table of their boxes."""

import csv
import io
import re
import sys
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import NamedTuple

from denoise import cleaning, machine
from denoise.bulk import files
from denoise.bulk.plan import is_pattern, make_plan
from denoise.bulk.provenance import OVERWRITE, Taken, check_place
from denoise.cli import streams
from denoise.cli.client import HttpClient
from denoise.cli.progress import ALL_WELL, SOME_FAILED, say
from denoise.errors import BadParameter, RequestError
from denoise.inference import denoiser
from denoise.inference.denoiser import Denoiser
from denoise.pictures import digit_files, tiff
from denoise.pictures.digits import Found
from denoise.pictures.parameters import Parameters
from denoise.settings import Settings

Find = Callable[[bytes], Found]

ARRAY = ".npy"
NOT_OF_DIGITS = ("size", "layout", "color", "strength")
NAME_OF_DIGIT = re.compile(r"\d{4,}\.png")


class Page(NamedTuple):
    """A page to be read: its file's name, or that of standard input, and where its digits go."""

    source: str
    target: str


def local(settings: Settings, parameters: Parameters) -> Find:
    """What finds the digits of a page by a model in this process. Raises SetupError, UnknownModel, BadParameter."""
    known = denoiser.load(settings.models, settings.device, machine.cpus())
    usual = denoiser.default(known, "denoise", settings.default_model)
    name = denoiser.for_pages(known, parameters.model, usual).name
    (model,) = denoiser.load_files(
        [settings.models / f"{name}.onnx"], settings.device, machine.cpus(), settings.precision
    )
    return partial(_find, model, parameters, settings.max_pixels)


def remote(url: str, key: str | None, parameters: Parameters) -> Find:
    """What finds the digits of a page by a running service. Raises BadParameter."""
    return partial(HttpClient(url, key).digits, parameters=parameters.model_copy(update={"page": None}))


def read(
    inputs: Sequence[str], output: str, start: Callable[[], Find], *, overwrite: bool, number: int | None = None
) -> int:
    """Finds the digits of all pages, and writes them where they are to go. The exit status.

    Of a file with several pages the one of that `number` is read, or each, into a folder of its own.

    Raises BadParameter where they can go nowhere, RequestError where the only page cannot be read.
    """
    pages, failures = _plan(inputs, output, number)
    written: set[str] = set()
    if output.endswith(ARRAY):
        streams.check_free(output, overwrite=overwrite)
    find = start() if pages else None
    for page in pages:
        try:
            assert find
            for content, target in _part(streams.read(page.source), page.target, number):
                if target in written:  # As of `page.tif` and `page.jpg`, also where answers of before may be replaced.
                    raise BadParameter(f"Digits of another page are in '{target}'; read it into another folder.")
                _write(find(content), target, overwrite=overwrite)
                written.add(target)
        except RequestError as error:
            failures.append(str(error) if isinstance(error, Taken) else f"{page.source}: {error}")
    for failure in failures:
        say(failure, sys.stderr)
    return SOME_FAILED if failures else ALL_WELL


def check_options(parameters: Parameters, **others: object) -> None:
    """Raises BadParameter for an option that says nothing of digits: a parameter, or one of `others` that is given."""
    fields = Parameters.model_fields
    given = [name for name in NOT_OF_DIGITS if getattr(parameters, name) != fields[name].default]
    if given := given + [name for name, value in others.items() if value is not None]:
        raise BadParameter(f"--{given[0]} is of pictures that are cleaned, not of --digits.")


def _part(content: bytes, target: str, number: int | None) -> Iterator[tuple[bytes, str]]:
    """The pages of a file, and where the digits of each go. Raises RequestError."""
    directories = tiff.choose(content, number, tiff.MOST_PAGES)
    if len(directories) > 1 and (target == streams.STANDARD or target.endswith(ARRAY)):
        raise BadParameter(f"It has {len(directories):,} pages, and an array has the digits of one; --page says which.")
    for place, directory in enumerate(directories, 1):
        yield tiff.take_page(content, directory), _name(target, place) if len(directories) > 1 else target


def _name(target: str, place: int) -> str:
    """The folder of a page, beside what was named or in it."""
    return f"{target}page-{place}" if target.endswith("/") else f"{target}-{place}"


def _find(model: Denoiser, parameters: Parameters, max_pixels: int, content: bytes) -> Found:
    prepared = cleaning.prepare(content, model.size, parameters, max_pixels)
    answer, _ = cleaning.run(model, prepared)
    return cleaning.find_digits(prepared, answer)


def _plan(inputs: Sequence[str], output: str, number: int | None) -> tuple[list[Page], list[str]]:
    """The pages, and what is wrong with other inputs. Raises BadParameter."""
    single = (
        len(inputs) == 1 and not Path(inputs[0]).is_dir() and (Path(inputs[0]).exists() or not is_pattern(inputs[0]))
    )
    if output == streams.STANDARD or output.endswith(ARRAY):
        if not single:
            raise BadParameter("An array has the digits of one page; several pages need a folder: -o FOLDER.")
        if output == streams.STANDARD and sys.stdout.isatty():
            raise BadParameter("The array would go to the terminal; -o FILE.npy or -o FOLDER says where else.")
        return [Page(inputs[0], output)], []
    if Path(output).is_file():
        raise BadParameter(f"'{output}' is a file; digits go to an array, -o FILE.npy, or a folder.")
    if single:
        return [Page(inputs[0], output)], []
    if streams.STANDARD in inputs:
        raise BadParameter("Standard input is one picture; no other goes with it.")
    plan = make_plan(inputs, output.rstrip("/") + "/", None, page=number)
    pages = [Page(str(item.source), str(item.target.with_suffix(""))) for item in plan.pictures]
    failures = [f"{failure.source}: {failure.why}" for failure in plan.failures]
    return pages, failures + [f"{item.source}: An array is no page." for item in plan.arrays]


def _write(found: Found, target: str, *, overwrite: bool) -> None:
    """Writes an array, or a folder whose table comes last. Raises RequestError where it cannot be."""
    if target == streams.STANDARD or target.endswith(ARRAY):
        streams.write(digit_files.as_array(found), target, overwrite=overwrite)
        return
    table, *pictures = digit_files.as_pictures(found)
    folder = Path(target)
    if (folder / digit_files.TABLE).exists():
        if not overwrite:
            raise Taken(f"'{folder / digit_files.TABLE}' is there already; {OVERWRITE}.")
        for name in _names(folder / digit_files.TABLE):
            (folder / name).unlink(missing_ok=True)
    for name, content in (*pictures, table):
        check_place(folder / name)
        try:
            with files.write_whole(folder / name, overwrite=overwrite) as file:
                file.write(content)
        except OSError as error:
            raise RequestError(f"'{folder / name}' cannot be written: {error.strerror}.") from None


def _names(table: Path) -> Iterator[str]:
    """The pictures that an earlier table lists."""
    rows = csv.DictReader(io.StringIO(table.read_text(encoding="utf-8", errors="replace")))
    return (name for row in rows if NAME_OF_DIGIT.fullmatch(name := row.get("file") or ""))
