"""The options of the commands, each described once. Knows Typer."""

import os
from pathlib import Path
from typing import Annotated, Literal

import typer

from denoise import __version__, settings
from denoise.pictures.images import Kind
from denoise.settings import Device, Settings


def _show_version(wanted: bool) -> None:
    if wanted:
        print(f"denoise {__version__}")
        raise typer.Exit


InputsArgument = Annotated[
    list[str], typer.Argument(help="Pictures, folders, patterns, arrays (.npy, .npz, IDX), or - for standard input.")
]
BulkInputsArgument = Annotated[
    list[str], typer.Argument(help="Pictures, folders, patterns, arrays (.npy, .npz, IDX), Parquet of pictures.")
]
OutputOption = Annotated[
    str,
    typer.Option(
        "--output", "-o", help="File, or folder for several; - is standard output, where a single one goes anyway."
    ),
]
BulkOutputOption = Annotated[str, typer.Option("--output", "-o", help="File, or folder for several.")]

ModelOption = Annotated[
    str | None, typer.Option("--model", "-m", help="One that `denoise models` lists.", show_default="the best")
]
SizeOption = Annotated[
    Literal["input", "native"], typer.Option(help="Answers as large as the picture, or as the model has them.")
]
InvertOption = Annotated[
    Literal["auto", "true", "false"],
    typer.Option(help="Whether the ink is dark on light paper. Of arrays, `auto` takes the ink for light."),
]
LayoutOption = Annotated[
    Literal["single", "strip"], typer.Option(help="`strip`: what was sent, seen, coded, answered, side by side.")
]
ColorOption = Annotated[
    Literal["grey", "keep"],
    typer.Option(help="`keep`: the ink keeps its colour, on white, or on black where it is light."),
]
StrengthOption = Annotated[
    float,
    typer.Option(min=0, max=1, help="How much of the answer there is in what is written; the rest is the picture."),
]
PageOption = Annotated[
    int | None, typer.Option(min=1, help="The page that is meant of a TIFF with several.", show_default="all")
]
ReportOption = Annotated[
    Path | None,
    typer.Option(
        help="Table (CSV) to write of the pictures: file, seconds, uncertainty, warnings; the doubtful first."
    ),
]
NoiseOption = Annotated[float, typer.Option(min=0, max=1, help="Lay noise of this factor over the picture first.")]
SeedOption = Annotated[int | None, typer.Option(min=0, help="Makes the noise the same every time.")]
KindOption = Annotated[
    Kind | None, typer.Option("--format", help="Of answers whose name does not say it.", show_default="png")
]

DigitsOption = Annotated[
    bool,
    typer.Option(
        "--digits",
        help="Give the digits of pages instead, as MNIST has them: -o FILE.npy, or a folder of PNGs with a table of "
        "boxes.",
    ),
]

JobsOption = Annotated[
    int | None,
    typer.Option("--jobs", "-j", min=1, help="Pictures worked on side by side.", show_default="one per CPU"),
]
OverwriteOption = Annotated[
    bool,
    typer.Option(
        "--overwrite", "--force", "-f", help="Put answers in the place of files that are there, and clean anew."
    ),
]
VersionOption = Annotated[
    bool, typer.Option("--version", callback=_show_version, is_eager=True, help="Show the version and exit.")
]

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

ColumnOption = Annotated[
    str | None, typer.Option(help="The pictures in Parquet.", show_default="the binary one, or `image`")
]
AddressOption = Annotated[
    str | None,
    typer.Option(help="A running Ray cluster; `auto`: this machine's.", show_default="one of this machine alone"),
]

ForeignArgument = Annotated[Path, typer.Argument(help="An ONNX file: grey or colour pictures in, pictures out.")]
AdoptedOption = Annotated[
    Path | None, typer.Option("--output", "-o", help="The file to write.", show_default="none, it is only told")
]
TaskOption = Annotated[Literal["denoise", "reconstruct"], typer.Option(help="The route that is to serve it.")]
TitleOption = Annotated[str, typer.Option(help="What people call it.", show_default="the file's name")]
TrainingDataOption = Annotated[str, typer.Option(help="What it was trained on.")]
TrainingNoiseOption = Annotated[str, typer.Option("--noise", help="What it was trained to take off.")]

HostOption = Annotated[str | None, typer.Option(help="Address to listen on.", show_default="127.0.0.1")]
PortOption = Annotated[int | None, typer.Option(help="Port to listen on.", show_default="8000")]
WorkersOption = Annotated[
    int | None, typer.Option(help="Processes that answer requests.", show_default="one per CPU, at most 4 on a GPU")
]


def read_settings(**options: object) -> Settings:
    """The environment's settings, those that options name in their place. Raises SetupError."""
    os.environ.update({f"DENOISE_{name.upper()}": str(value) for name, value in options.items() if value is not None})
    return settings.read()
