"""`denoise`: what the service does to a picture, from the command line. Options and output; knows Typer and Rich."""

import contextlib
import hashlib
import io
import os
import sys
import time
from collections.abc import Callable, Generator, Mapping, Sequence
from pathlib import Path
from typing import Annotated, Literal, NamedTuple, NoReturn

import typer
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, ProgressColumn, Task, TimeRemainingColumn
from rich.text import Text

from denoise import __version__, cleaning, machine, settings
from denoise.bulk import arrays, files, processes
from denoise.bulk.files import Failure, Item, Plan
from denoise.bulk.processes import WORTH_IT, Cleaner, Engine
from denoise.cleaning import Parameters
from denoise.cli.client import Client
from denoise.errors import BadParameter, RequestError, SetupError, UnknownModel
from denoise.inference import denoiser
from denoise.inference.denoiser import CUDA, Denoiser
from denoise.pictures.images import Kind
from denoise.settings import Device, Settings

STANDARD = "-"  # input or output
MOST_ON_A_GPU = 4  # processes, by default: each keeps its own copy of CUDA's state there
MOST_REQUESTS = 8  # at a service at a time, by default: waiting costs nothing here
ALL_WELL, SOME_FAILED, WRONG_USAGE, INTERRUPTED = 0, 1, 2, 130

COMMANDS = """Commands, each with a --help of its own:

denoise serve · serves the models over HTTP

denoise models · lists the models

denoise bulk · takes the noise off on all machines of a Ray cluster

denoise doctor · says what the models run on here, proves and times them

A file or folder of such a name is meant by ./serve."""

HELP = {"help_option_names": ["-h", "--help"]}
pictures = typer.Typer(context_settings=HELP, add_completion=False, pretty_exceptions_enable=False)
commands = typer.Typer(context_settings=HELP, add_completion=False, pretty_exceptions_enable=False)

ModelsOption = Annotated[
    Path | None, typer.Option("--models", help="Folder of the .onnx files.", show_default="those that came along")
]
DeviceOption = Annotated[
    Device | None,
    typer.Option(help="Where models run; `auto`: on a GPU where one really works.", show_default="auto"),
]
UrlOption = Annotated[str | None, typer.Option(help="Have a running service at this address do the work.")]
KeyOption = Annotated[
    str | None, typer.Option(envvar="DENOISE_API_KEY", help="For a service that wants one; better not told here.")
]


def main(arguments: Sequence[str] | None = None) -> None:
    """Does what the command line asks for, and ends the process with a status that says how it went."""
    arguments = sys.argv[1:] if arguments is None else list(arguments)
    names = {command.name or command.callback.__name__ for command in commands.registered_commands if command.callback}
    app = commands if arguments and arguments[0] in names else pictures
    try:
        app(arguments, prog_name="denoise")
    except SetupError as error:
        sys.exit(f"The service cannot start. {error}" if arguments[:1] == ["serve"] else str(error))


def _version(wanted: bool) -> None:
    if wanted:
        print(f"denoise {__version__}")
        raise typer.Exit


@pictures.command(no_args_is_help=True, epilog=COMMANDS)
def clean(
    inputs: Annotated[
        list[str],
        typer.Argument(help="Pictures, folders, patterns, arrays (.npy, .npz, IDX), or - for standard input."),
    ],
    output: Annotated[
        str,
        typer.Option(
            "--output", "-o", help="File, or folder for several; - is standard output, where a single one goes anyway."
        ),
    ] = STANDARD,
    model: Annotated[
        str | None, typer.Option("--model", "-m", help="One that `denoise models` lists.", show_default="the best")
    ] = None,
    size: Annotated[
        Literal["input", "native"], typer.Option(help="Answers as large as the picture, or as the model has them.")
    ] = "input",
    invert: Annotated[
        Literal["auto", "true", "false"],
        typer.Option(help="Whether the ink is dark on light paper. Of arrays, `auto` takes the ink for light."),
    ] = "auto",
    layout: Annotated[
        Literal["single", "strip"], typer.Option(help="`strip`: what was sent, seen, coded, answered, side by side.")
    ] = "single",
    noise: Annotated[float, typer.Option(min=0, max=1, help="Lay noise of this factor over the picture first.")] = 0.0,
    seed: Annotated[int | None, typer.Option(min=0, help="Makes the noise the same every time.")] = None,
    kind: Annotated[
        Kind | None, typer.Option("--format", help="Of answers whose name does not say it.", show_default="png")
    ] = None,
    jobs: Annotated[
        int | None,
        typer.Option("--jobs", "-j", min=1, help="Pictures worked on side by side.", show_default="one per CPU"),
    ] = None,
    overwrite: Annotated[
        bool, typer.Option("--overwrite", "--force", "-f", help="In folders, clean anew what is done already.")
    ] = False,
    device: DeviceOption = None,
    models: ModelsOption = None,
    url: UrlOption = None,
    api_key: KeyOption = None,
    _told_version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Show the version and exit.")
    ] = False,
) -> None:
    """Take the noise off pictures of handwritten digits, in files, folders and arrays.

    denoise scan.png -o clean.png

    denoise scans/ -o clean/

    denoise - < scan.png > clean.png

    denoise t10k-images-idx3-ubyte.gz -o clean.npy

    Started again, a folder's work goes on where it was interrupted.

    Exit status: 0 all is well, 1 a file failed, 2 wrong usage, 130 Ctrl-C.
    """
    parameters = Parameters(size=size, invert=invert, layout=layout, noise=noise, seed=seed)
    try:
        plan = _planned(inputs, output, kind, overwrite)
        _check_layout(layout, bool(plan and plan.arrays))
        if plan and not plan.pictures and not plan.arrays:
            status = _summed_up(plan, [], "Nothing was left to do" if plan.done else "")
        else:
            worker = (
                _remote(url, api_key, model, parameters, jobs)
                if url
                else _local(_settings(models=models, device=device), model, parameters, jobs)
            )
            status = _all(plan, worker) if plan else _one(inputs[0], output, kind, worker, layout)
    except (BadParameter, UnknownModel) as error:
        _fail(str(error), WRONG_USAGE)
    except RequestError as error:
        _fail(str(error), SOME_FAILED)
    except KeyboardInterrupt:
        status = INTERRUPTED
    raise typer.Exit(status)


@commands.command()
def models(
    folder: ModelsOption = None,
    device: DeviceOption = None,
    url: UrlOption = None,
    api_key: KeyOption = None,
) -> None:
    """List the models: name, task, pictures, PSNR on MNIST's noisy test digits, title; the default has a star."""
    rows = []
    if url:
        try:
            cards = Client(url, api_key).models()
        except RequestError as error:
            _fail(str(error), SOME_FAILED)
        for card in cards:
            default = card["default"] and card["task"] == "denoise"
            row = _row(card["name"], default, card["task"], card["inputs"][0]["shape"], card["scores"], card["title"])
            rows.append(row)
    else:
        chosen = _settings(models=folder, device=device)
        loaded = denoiser.load(chosen.models, chosen.device, 1)
        best = denoiser.default(loaded, "denoise", chosen.default_model)
        for name, model in loaded.items():
            shape = model.inputs[0].shape
            rows.append(_row(name, name == best, model.task, shape, model.scores, model.facts["title"]))
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    for row in rows:
        print("  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip())


@commands.command()
def serve(
    host: Annotated[str | None, typer.Option(help="Address to listen on.", show_default="127.0.0.1")] = None,
    port: Annotated[int | None, typer.Option(help="Port to listen on.", show_default="8000")] = None,
    workers: Annotated[
        int | None, typer.Option(help="Processes that answer requests.", show_default="one per CPU, at most 4 on a GPU")
    ] = None,
    device: DeviceOption = None,
    folder: ModelsOption = None,
) -> None:
    """Serve the models over HTTP until told to stop. Other settings come from the environment; README.md lists them."""
    from denoise.server import process  # noqa: PLC0415  # brings all of HTTP, which pictures need not wait for

    process.serve(_settings(host=host, port=port, workers=workers, device=device, models=folder))


@commands.command()
def doctor(device: DeviceOption = None, folder: ModelsOption = None) -> None:
    """Say what the models would run on here, prove and time them; fail when something asked for is missing."""
    from denoise.cli import doctor as examination  # noqa: PLC0415  # as above

    for line in examination.examine(_settings(device=device, models=folder)):
        print(line, flush=True)


@commands.command("bulk")
def on_a_cluster(
    inputs: Annotated[
        list[str], typer.Argument(help="Pictures, folders, patterns, arrays (.npy, .npz, IDX), Parquet of pictures.")
    ],
    output: Annotated[str, typer.Option("--output", "-o", help="File, or folder for several.")],
    model: Annotated[
        str | None, typer.Option("--model", "-m", help="One that `denoise models` lists.", show_default="the best")
    ] = None,
    size: Annotated[Literal["input", "native"], typer.Option(help="As `denoise --help` has it.")] = "input",
    invert: Annotated[Literal["auto", "true", "false"], typer.Option(help="As `denoise --help` has it.")] = "auto",
    noise: Annotated[float, typer.Option(min=0, max=1, help="Lay noise of this factor over the picture first.")] = 0.0,
    seed: Annotated[int | None, typer.Option(min=0, help="Makes the noise the same every time.")] = None,
    kind: Annotated[Kind | None, typer.Option("--format", help="Of the answers.", show_default="png")] = None,
    column: Annotated[
        str | None, typer.Option(help="The pictures in Parquet.", show_default="the binary one, or `image`")
    ] = None,
    address: Annotated[
        str | None,
        typer.Option(help="A running Ray cluster; `auto`: this machine's.", show_default="one of this machine alone"),
    ] = None,
    jobs: Annotated[
        int | None, typer.Option("--jobs", "-j", min=1, help="Processes side by side.", show_default="one per CPU")
    ] = None,
    overwrite: Annotated[
        bool, typer.Option("--overwrite", "--force", "-f", help="Clean anew what is done already.")
    ] = False,
    device: DeviceOption = None,
    folder: ModelsOption = None,
) -> None:
    """Take the noise off very many pictures, on all machines of a Ray cluster, which see the same files.

    denoise bulk scans/ -o clean/ --address auto

    denoise bulk train.parquet -o clean.parquet

    Started again, it goes on where it was interrupted. Exit status: as `denoise` has it.
    """
    if address is None:  # so that it listens on loopback alone; Ray looks when it is imported, on any system
        os.environ["RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER"] = "0"
    try:
        from denoise.bulk import cluster  # noqa: PLC0415  # it is an extra
    except ImportError as error:
        raise SetupError(f"`denoise bulk` needs Ray: pip install 'denoise-service[ray]' ({error}).") from None
    try:
        plan = files.planned(inputs, output, kind, overwrite, tables=True)
        if plan.pictures or plan.arrays:
            worker = _local(
                _settings(models=folder, device=device),
                model,
                Parameters(size=size, invert=invert, noise=noise, seed=seed),
                jobs,
            )
            assert worker.engine
            sha256 = hashlib.sha256(worker.engine.path.read_bytes()).hexdigest()
            job = cluster.Job(worker.engine, worker.arrays, sha256, column, address, jobs, overwrite)
            status = _in_bulk(plan, lambda found: cluster.clean(plan, job, found))
        else:
            status = _summed_up(plan, [], "Nothing was left to do" if plan.done else "")
    except (BadParameter, UnknownModel) as error:
        _fail(str(error), WRONG_USAGE)
    except KeyboardInterrupt:
        status = INTERRUPTED
    raise typer.Exit(status)


def _settings(**named: object) -> Settings:
    """Those of the environment, and what was named in their place. Raises SetupError."""
    os.environ.update({f"DENOISE_{name.upper()}": str(value) for name, value in named.items() if value is not None})
    return settings.read()


class Worker(NamedTuple):
    """What does the work: a model in this process and others like it, or a service."""

    clean: Cleaner  # threads may share it
    arrays: arrays.Work
    engine: Engine | None  # for other processes; None when a service does the work
    jobs: int  # pictures at a time


def _local(chosen: Settings, name: str | None, parameters: Parameters, jobs: int | None) -> Worker:
    """Raises SetupError, UnknownModel."""
    loaded = denoiser.load(chosen.models, chosen.device, machine.cpus())
    name = name or denoiser.default(loaded, "denoise", chosen.default_model) or next(iter(loaded))
    if name not in loaded:
        raise UnknownModel(f"There is no model named '{name}'; there are: {', '.join(loaded)}.")
    model: Denoiser = loaded[name]
    jobs = jobs or min(machine.cpus(), MOST_ON_A_GPU if model.provider == CUDA else machine.cpus())
    return Worker(
        lambda content, kind: cleaning.clean(content, model, parameters, chosen.max_pixels).encode(kind),
        _work(parameters, model, model.size, jobs),
        Engine(chosen.models / f"{name}.onnx", model.provider, parameters, chosen.max_pixels),
        jobs,
    )


def _remote(url: str, key: str | None, name: str | None, parameters: Parameters, jobs: int | None) -> Worker:
    """Raises SetupError, UnknownModel, Unanswered."""
    service = Client(url, key)
    cards = {card["name"]: card for card in service.models()}
    best = (card["name"] for card in cards.values() if card["default"] and card["task"] == "denoise")
    name = name or next(best, next(iter(cards), ""))
    if name not in cards:
        raise UnknownModel(f"{url} has no model named '{name}'; there are: {', '.join(cards) or 'none'}.")
    task, (_, height, width, _) = cards[name]["task"], cards[name]["inputs"][0]["shape"]
    size = (height, width) if isinstance(height, int) and isinstance(width, int) else None
    return Worker(
        lambda content, kind: service.clean(content, kind, task, name, parameters),
        _work(parameters, lambda pixels: service.run(name, pixels), size, jobs or MOST_REQUESTS),
        None,
        jobs or MOST_REQUESTS,
    )


def _work(parameters: Parameters, run: arrays.Run, size: tuple[int, int] | None, jobs: int) -> arrays.Work:
    return arrays.Work(run, size, jobs, parameters.invert == "true", parameters.noise, parameters.seed)


def _planned(inputs: Sequence[str], output: str, kind: Kind | None, anew: bool) -> Plan | None:
    """What there is to do with files; None when the input or the output is a standard stream. Raises BadParameter."""
    if STANDARD in inputs and len(inputs) > 1:
        raise BadParameter("Standard input is one picture; no other goes with it.")
    if STANDARD not in inputs and output != STANDARD:
        return files.planned(inputs, output, kind, anew)
    if len(inputs) > 1 or Path(inputs[0]).is_dir():
        raise BadParameter("Several answers need a folder: -o FOLDER.")
    if output == STANDARD and sys.stdout.isatty():
        raise BadParameter("The answer would go to the terminal; -o FILE says where else.")
    if output != STANDARD and (Path(output).is_dir() or output.endswith("/")):
        raise BadParameter("What comes from standard input has no name; -o FILE gives it one.")
    return None


def _check_layout(layout: str, with_arrays: bool) -> None:
    if with_arrays and layout == "strip":
        raise BadParameter("An array's pictures have no strip; --layout strip is for picture files.")


def _one(given: str, output: str, kind: Kind | None, worker: Worker, layout: str) -> int:
    """From or to a standard stream: the exit status. Raises BadParameter when the two do not fit."""
    kind = (kind or files.KINDS[0]) if output == STANDARD else files.kind_of(output, kind)
    try:
        content = sys.stdin.buffer.read() if given == STANDARD else Path(given).read_bytes()
    except OSError as error:
        _fail(f"{given}: It cannot be read: {error.strerror}.", SOME_FAILED)
    in_array = arrays.is_array(content)
    _check_layout(layout, in_array)
    try:
        if in_array:
            target = io.BytesIO()
            for _ in arrays.clean(content, target, "" if output == STANDARD else output, worker.arrays):
                pass
            answer = target.getvalue()
        else:
            answer = worker.clean(content, kind)
    except RequestError as error:
        _fail(f"{given}: {error}", SOME_FAILED)
    try:
        if output == STANDARD:
            sys.stdout.buffer.write(answer)
            sys.stdout.buffer.flush()
        else:
            with files.written(Path(output)) as file:
                file.write(answer)
    except BrokenPipeError:  # the reader has had enough
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())  # or leaving would fail at it again
        return SOME_FAILED
    except OSError as error:
        where = "Standard output" if output == STANDARD else f"'{output}'"
        _fail(f"{where} cannot be written: {error.strerror}.", SOME_FAILED)
    return ALL_WELL


def _all(plan: Plan, worker: Worker) -> int:
    """Does what is planned, and shows how far it is where somebody looks on. The exit status."""
    failures: list[Failure] = []
    done, before = 0, time.perf_counter()
    try:
        with (
            _progress(len(plan.pictures)) as progress,
            contextlib.closing(_outcomes(plan.pictures, worker)) as outcomes,
        ):
            (bar,) = progress.task_ids
            for item, why in outcomes:
                progress.advance(bar)
                if why is None:
                    done += 1
                else:
                    failures.append(Failure(str(item.source), why))
            for item in plan.arrays:
                why, count = _array(item, worker, progress)
                done += count
                if why is not None:
                    failures.append(Failure(str(item.source), why))
    except KeyboardInterrupt:
        _summed_up(plan, failures, f"Stopped after {_counted(done)}; the same command goes on from there")
        return INTERRUPTED
    spent = time.perf_counter() - before
    if len(plan.pictures) == 1 and not plan.arrays and not plan.done and not plan.failures:
        return _summed_up(plan, failures, "")
    return _summed_up(plan, failures, f"{_counted(done)} in {spent:,.1f} s, {done / spent:,.0f} a second")


def _in_bulk(plan: Plan, outcomes: Callable[[Callable[[int], None]], Generator[tuple[int, list[Failure]]]]) -> int:
    """The same, by others, who tell pieces' outcomes."""
    failures: list[Failure] = []
    done, before = 0, time.perf_counter()
    try:
        with _progress(len(plan.pictures)) as progress:
            (bar,) = progress.tasks

            def found(count: int) -> None:
                progress.update(bar.id, total=(bar.total or 0) + count)

            with contextlib.closing(outcomes(found)) as told:
                for cleaned, failed in told:
                    progress.advance(bar.id, cleaned)
                    done += cleaned
                    failures += failed
    except KeyboardInterrupt:
        _summed_up(plan, failures, f"Stopped after {_counted(done)}; the same command goes on from there")
        return INTERRUPTED
    spent = time.perf_counter() - before
    return _summed_up(plan, failures, f"{_counted(done)} in {spent:,.1f} s, {done / spent:,.0f} a second")


def _outcomes(items: Sequence[Item], worker: Worker) -> Generator[tuple[Item, str | None]]:
    """Each picture with what kept it from being cleaned."""
    side_by_side = min(worker.jobs, len(items) // WORTH_IT)
    if worker.engine and side_by_side > 1:
        return processes.in_processes(items, worker.engine, side_by_side)
    if not worker.engine and worker.jobs > 1:
        return processes.in_threads(items, worker.clean, worker.jobs)
    return processes.one_by_one(items, worker.clean)


def _array(item: Item, worker: Worker, progress: Progress) -> tuple[str | None, int]:
    """Cleans an array's file: what kept it from being cleaned, and how many pictures were."""
    (bar,), done = progress.tasks, 0

    def found(count: int) -> None:
        progress.update(bar.id, total=(bar.total or 0) + count)

    try:
        with files.written(item.target) as file:
            for count in arrays.clean(item.source, file, item.target.name, worker.arrays, found):
                progress.advance(bar.id, count)
                done += count
    except RequestError as error:
        return str(error), 0
    except MemoryError:
        return "There is not enough memory for it.", 0
    except OSError as error:
        return f"'{error.filename or item.target}' cannot be read or written: {error.strerror or error}.", 0
    return None, done


class _Rate(ProgressColumn):
    """Pictures per second."""

    def render(self, task: Task) -> Text:
        """As the bar shows it."""
        return Text(f"{task.speed:,.0f} a second" if task.speed else "", style="progress.data.speed")


def _progress(pictures: int) -> Progress:
    """A bar on standard error, where that is a terminal; it goes when it is done."""
    console = Console(stderr=True)
    columns = BarColumn(), MofNCompleteColumn(), _Rate(), TimeRemainingColumn()
    progress = Progress(*columns, console=console, transient=True, disable=not console.is_terminal)
    progress.add_task("", total=pictures)
    return progress


def _summed_up(plan: Plan, failures: Sequence[Failure], told: str) -> int:
    """Says on standard error how it went, each failure by its name, and gives the exit status."""
    failures = [*plan.failures, *failures]
    if told and plan.done:
        told += f"; {plan.done:,} done before (--overwrite cleans them anew)"
    if told and plan.others:
        told += f"; {plan.others:,} left out that are no pictures by their names"
    if told:
        print(f"{told}; {len(failures):,} failed:" if failures else f"{told}.", file=sys.stderr)
    for failure in sorted(failures):
        print(f"{'  ' if told else ''}{failure.source}: {failure.why}", file=sys.stderr)
    return SOME_FAILED if failures else ALL_WELL


def _counted(pictures: int) -> str:
    return "1 picture" if pictures == 1 else f"{pictures:,} pictures"


def _fail(why: str, status: int) -> NoReturn:
    print(why, file=sys.stderr)
    raise typer.Exit(status)


def _row(
    name: str, default: bool, task: str, shape: Sequence[int | str], scores: Mapping[str, float], title: str
) -> tuple[str, ...]:
    _, height, width, _ = shape
    size = f"{width}×{height}" if isinstance(height, int) and isinstance(width, int) else "any size"
    return (f"{name}{' *' if default else ''}", task, size, f"{scores.get('psnr', 0):.2f} dB", title)
