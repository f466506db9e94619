"""`denoise`: what the service does to a picture, from the command line."""

import os
import sys
from collections.abc import Sequence
from contextlib import closing
from difflib import get_close_matches
from functools import partial

import typer

from denoise.bulk.files import is_table
from denoise.bulk.plan import make_plan
from denoise.bulk.provenance import sort_out
from denoise.cli import adopt as adoption
from denoise.cli import backend, listing, options, pages, runs, streams
from denoise.cli.options import read_settings
from denoise.cli.progress import SOME_FAILED, WRONG_USAGE, Tally, end, exit_on_errors, printable, say
from denoise.cli.report import check_report
from denoise.errors import BadParameter, SetupError
from denoise.pictures.parameters import Parameters

COMMANDS = """Commands, each with a --help of its own:

denoise serve · serves the models over HTTP

denoise models · lists the models

denoise bulk · takes the noise off on all machines of a Ray cluster

denoise adopt · makes an ONNX denoiser of another's making a model that is served

denoise doctor · says what the models run on here, proves and times them

A file or folder of such a name is meant by ./serve."""

ALIKE = 0.8  # How much a word is like a command that is meant by it, as difflib counts.
HELP = {"help_option_names": ["-h", "--help"]}
pictures = typer.Typer(context_settings=HELP, add_completion=False, pretty_exceptions_enable=False)
commands = typer.Typer(context_settings=HELP, add_completion=False, pretty_exceptions_enable=False)


def main(arguments: Sequence[str] | None = None) -> None:
    """Does what the command line asks for, and ends the process with a status that says how it went."""
    arguments = sys.argv[1:] if arguments is None else list(arguments)
    names = {command.name or command.callback.__name__ for command in commands.registered_commands if command.callback}
    app = commands if arguments and arguments[0] in names else pictures
    if app is pictures and arguments and arguments[0].isalpha() and not os.path.lexists(arguments[0]):
        for nearest in get_close_matches(arguments[0], names, 1, ALIKE):
            end(f"There is no file '{arguments[0]}'; the nearest command is `denoise {nearest}`.", WRONG_USAGE)
    # What begins so may be a file's name: it is printed when it is no option.
    if odd := next((word for word in arguments if word.startswith("-") and not word.isprintable()), None):
        end(f"There is no option {odd}.", WRONG_USAGE)
    try:
        app(arguments, prog_name="denoise")
    except SetupError as error:
        lines = f"The service cannot start. {error}" if arguments[:1] == ["serve"] else str(error)
        for line in lines.splitlines():
            say(line, sys.stderr)
        sys.exit(SOME_FAILED)


@pictures.command(no_args_is_help=True, epilog=COMMANDS)
def clean(
    inputs: options.InputsArgument,
    output: options.OutputOption = streams.STANDARD,
    model: options.ModelOption = None,
    size: options.SizeOption = "input",
    invert: options.InvertOption = "auto",
    layout: options.LayoutOption = "single",
    color: options.ColorOption = "grey",
    strength: options.StrengthOption = 1.0,
    page: options.PageOption = None,
    noise: options.NoiseOption = 0.0,
    seed: options.SeedOption = None,
    kind: options.KindOption = None,
    digits: options.DigitsOption = False,
    report: options.ReportOption = None,
    jobs: options.JobsOption = None,
    overwrite: options.OverwriteOption = False,
    device: options.DeviceOption = None,
    models: options.ModelsOption = None,
    url: options.UrlOption = None,
    api_key: options.KeyOption = None,
    _version: options.VersionOption = False,
) -> None:
    """Take the noise off pictures of handwritten digits, in files, folders and arrays.

    denoise scan.png -o clean.png

    denoise scans/ -o clean/

    denoise - < scan.png > clean.png

    denoise fax.tif -o fax-clean.tif

    denoise scans/ -o clean/ --report report.csv

    denoise t10k-images-idx3-ubyte.gz -o clean.npy

    denoise --digits page.jpg -o digits.npy

    Started again, a folder's work goes on where it was interrupted.

    Nothing that is there is overwritten without --overwrite.

    Exit status: 0 all is well, 1 a file failed, 2 wrong usage, 130 Ctrl-C, 143 SIGTERM.
    """
    parameters = Parameters(
        model=model,
        size=size,
        invert=invert,
        layout=layout,
        color=color,
        strength=strength,
        page=page,
        noise=noise,
        seed=seed,
    )

    def start() -> backend.Backend:
        if url:
            return backend.remote(url, api_key, parameters, jobs)
        return backend.local(read_settings(models=models, device=device), parameters, jobs)

    def start_reading() -> pages.Find:
        if url:
            return pages.remote(url, api_key, parameters)
        return pages.local(read_settings(models=models, device=device), parameters)

    with exit_on_errors():
        if digits:
            pages.check_options(parameters, format=kind, report=report, jobs=jobs)
            raise typer.Exit(pages.read(inputs, output, start_reading, overwrite=overwrite, number=page))
        if streams.are_meant(inputs, output):
            if report:
                raise BadParameter("--report is of files; -o FILE or -o FOLDER says where they go.")
            streams.clean(inputs[0], output, kind, start(), overwrite=overwrite)
            return
        if report:
            check_report(report, overwrite=overwrite)
        plan = make_plan(inputs, output, kind, page=page)
        if plan.arrays:
            streams.check_array(parameters)
        if not runs.has_work(plan):
            raise typer.Exit(runs.nothing_left(plan))
        there = start()
        plan = sort_out(plan, there.maker, overwrite=overwrite)
        raise typer.Exit(runs.carry_out(plan, partial(runs.clean_files, plan, there), report, overwrite=overwrite))


@commands.command()
def models(
    folder: options.ModelsOption = None,
    device: options.DeviceOption = None,
    url: options.UrlOption = None,
    api_key: options.KeyOption = None,
) -> None:
    """List the models: name, task, pictures, PSNR on MNIST's noisy test digits, title; the default has a star."""
    with exit_on_errors():
        rows = (
            listing.of_service(url, api_key) if url else listing.of_folder(read_settings(models=folder, device=device))
        )
    for line in listing.align(rows):
        say(line)


@commands.command()
def serve(
    host: options.HostOption = None,
    port: options.PortOption = None,
    workers: options.WorkersOption = None,
    device: options.DeviceOption = None,
    folder: options.ModelsOption = None,
) -> None:
    """Serve the models over HTTP until told to stop. Other settings come from the environment: docs/settings.md."""
    from denoise.server import process  # noqa: PLC0415  # It brings all of HTTP, which pictures need not wait for.

    process.serve(read_settings(host=host, port=port, workers=workers, device=device, models=folder))


@commands.command()
def doctor(device: options.DeviceOption = None, folder: options.ModelsOption = None) -> None:
    """Say what the models would run on here, prove and time them; fail when something asked for is missing."""
    from denoise.cli import doctor as examination  # noqa: PLC0415  # It brings all of HTTP as well.

    for line in examination.examine(read_settings(device=device, models=folder)):
        say(line)


@commands.command()
def adopt(
    model: options.ForeignArgument,
    output: options.AdoptedOption = None,
    task: options.TaskOption = "denoise",
    title: options.TitleOption = "",
    training_data: options.TrainingDataOption = "unknown",
    noise: options.TrainingNoiseOption = "unknown",
    overwrite: options.OverwriteOption = False,
) -> None:
    """Look at an ONNX denoiser of another's making, and write it as a file that the service serves.

    denoise adopt dncnn.onnx

    denoise adopt dncnn.onnx -o models/dncnn.onnx

    It may take 1 or 3 channels, first or last, of one size or of any, 0 … 1, 0 … 255 or -1 … 1, and give the clean
    picture or its noise: all that is found out, on digits that are drawn for it.
    """
    facts = {"title": title or model.stem, "training_data": training_data, "noise": noise}
    for line in adoption.adopt(model, output, task, facts, overwrite=overwrite):
        say(printable(line))


@commands.command()
def bulk(
    inputs: options.BulkInputsArgument,
    output: options.BulkOutputOption,
    model: options.ModelOption = None,
    size: options.SizeOption = "input",
    invert: options.InvertOption = "auto",
    color: options.ColorOption = "grey",
    strength: options.StrengthOption = 1.0,
    page: options.PageOption = None,
    noise: options.NoiseOption = 0.0,
    seed: options.SeedOption = None,
    kind: options.KindOption = None,
    report: options.ReportOption = None,
    column: options.ColumnOption = None,
    address: options.AddressOption = None,
    jobs: options.JobsOption = None,
    overwrite: options.OverwriteOption = False,
    device: options.DeviceOption = None,
    folder: options.ModelsOption = None,
) -> None:
    """Take the noise off very many pictures, on all machines of a Ray cluster, which see the same files.

    denoise bulk scans/ -o clean/ --address auto

    denoise bulk train.parquet -o clean.parquet

    Started again, it goes on where it was interrupted. Exit status: as `denoise` has it.
    """
    if address is None:  # Ray listens on loopback alone then, on any system; it looks at this when it is imported.
        os.environ["RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER"] = "0"
    try:
        from denoise.bulk import cluster, pieces  # noqa: PLC0415  # They need an extra.
    except ImportError as error:
        raise SetupError(f"`denoise bulk` needs Ray: pip install 'denoise-service[ray]' ({error}).") from None
    parameters = Parameters(
        model=model, size=size, invert=invert, color=color, strength=strength, page=page, noise=noise, seed=seed
    )
    with exit_on_errors():
        if report:
            check_report(report, overwrite=overwrite)
        plan = make_plan(inputs, output, kind, tables=True, page=page)
        if any(not is_table(item.source.name) for item in plan.arrays):
            streams.check_array(parameters)
        if not runs.has_work(plan):
            raise typer.Exit(runs.nothing_left(plan))
        here = backend.local(read_settings(models=folder, device=device), parameters, jobs)
        assert here.engine
        maker = here.maker._replace(column=column)
        plan = sort_out(plan, maker, overwrite=overwrite)
        job = pieces.BulkJob(here.engine._replace(maker=maker), here.work, address, jobs, overwrite)

        def work(tally: Tally, record: runs.Record) -> None:
            with closing(cluster.clean(plan, job, tally.expect)) as outcomes:
                for outcome in outcomes:
                    tally.show(outcome.cleaned)
                    tally.count(outcome.cleaned, outcome.failures)
                    for picture in outcome.pictures:
                        record(picture)

        raise typer.Exit(runs.carry_out(plan, work, report, overwrite=overwrite))
