"""Everything an operator can set, each by an environment variable: DENOISE_ and the field's name in capitals."""

import re
from collections.abc import Iterable
from difflib import get_close_matches
from pathlib import Path
from typing import Annotated, Literal

from pydantic import (
    Field,
    NonNegativeFloat,
    PositiveFloat,
    PositiveInt,
    SecretStr,
    ValidationError,
    ValidationInfo,
    field_validator,
)
from pydantic_settings import BaseSettings, NoDecode, SettingsConfigDict

from denoise.errors import SetupError
from denoise.logs import Form

Device = Literal["auto", "cuda", "cpu"]
# What a browser sends as Origin: https://www.rfc-editor.org/rfc/rfc6454#section-6.2
ORIGIN = re.compile(r"\*|[a-z][a-z0-9+.-]*://[^/\s,]+")
# `tfloat32` is TF32: float32 of which a GPU multiplies the first 11 bits of the mantissa.
Precision = Literal["float32", "tfloat32", "bfloat16"]
AllowedPrecision = Literal["auto", "float32"]
PREFIX = "DENOISE_"
# The command line sends the first to a running service; Compose reads the others.
OTHERS = {"DENOISE_API_KEY", "DENOISE_BALANCER_PORT", "DENOISE_MEMORY"}
ALIKE = 0.85  # How much an unknown setting is like one that is meant by it, as difflib counts.
MAX_PIXELS = 50_000_000
# pip lays the models beside this file; in a clone they lie at the top.
INSTALLED = Path(__file__).resolve().parent / "models"


class Settings(BaseSettings):
    """What the service reads from its environment at start; the documented table has the same rows."""

    model_config = SettingsConfigDict(env_prefix=PREFIX, env_ignore_empty=True, frozen=True)

    host: str = Field("127.0.0.1", description="address to listen on")
    port: int = Field(8000, ge=0, le=65535, description="port to listen on")
    models: Path = Field(
        INSTALLED if INSTALLED.is_dir() else INSTALLED.parent.parent.parent / "models",
        description="folder whose .onnx files are served",
    )
    default_model: str | None = Field(
        None, description="model of `/denoise` when a request names none; unset: the one with the best PSNR"
    )
    device: Device = Field(
        "auto",
        description="`cuda` insists on a GPU, `cpu` uses none, `auto` takes a GPU when the models really run on it",
    )
    precision: AllowedPrecision = Field(
        "auto",
        description="`auto` lets each model multiply in bfloat16 on the processor, or in TF32 on a GPU, where it is "
        "faster so and the answers prove to be alike; `float32` never does, and leaves OpenVINO out",
    )
    workers: PositiveInt | None = Field(
        None,
        description="processes that answer requests; unset: one per CPU that the machine or the container's limit "
        "gives, but at most four on a GPU",
    )
    threads: PositiveInt | None = Field(
        None, description="threads of a process that work on one large picture; unset: as many as CPUs"
    )
    max_body_bytes: PositiveInt = Field(32 * 1024 * 1024, description="largest request body, in bytes")
    max_pixels: PositiveInt = Field(MAX_PIXELS, description="largest picture, in pixels (width times height)")
    max_files: PositiveInt = Field(
        64, description="pictures in one request: files of a form or a zip, and pages of a TIFF"
    )
    max_unpacked_bytes: PositiveInt = Field(
        64 * 1024 * 1024, description="largest sum of the files in a zip, unpacked, in bytes"
    )
    max_request_pixels: PositiveInt = Field(
        100_000_000, description="largest sum of the pixels of all pictures in one request"
    )
    queue: PositiveInt = Field(
        1024, description="pictures and tensors that a process works on or lets wait; more get a 429"
    )
    queue_bytes: PositiveInt = Field(
        128 * 1024 * 1024,
        description="bytes of large bodies that have come and that a process holds at a time; more get a 429",
    )
    deadline_seconds: PositiveFloat = Field(
        60.0,
        allow_inf_nan=False,
        description="longest time that a request waits for its turns and is worked on; then it gets a 504",
    )
    upload_seconds: PositiveFloat = Field(
        30.0, allow_inf_nan=False, description="longest time that a body may take to arrive; then it gets a 408"
    )
    idle_seconds: PositiveFloat = Field(
        60.0, allow_inf_nan=False, description="longest time that a connection may be silent, or take over its headers"
    )
    max_header_bytes: PositiveInt = Field(65_536, description="largest headers of a request, in bytes; then a 431")
    max_connections: PositiveInt = Field(
        1000,
        description="connections that a process holds; for one more the longest silent is closed, or it gets a 503",
    )
    api_keys_file: Path | None = Field(None, description="file with keys, one per line, beside those of the next row")
    api_keys: Annotated[tuple[SecretStr, ...], NoDecode] = Field(
        (),
        validate_default=True,
        description="keys, separated by commas, one of which every POST must bear; unset: none is needed",
    )
    cors_origins: Annotated[tuple[str, ...], NoDecode] = Field(
        (),
        description="origins, separated by commas, of the web pages elsewhere that may call (`https://example.org`), "
        "or `*` for all; unset: none",
    )
    root_path: str = Field(
        "", description="prefix that a proxy in front takes off the path of each request, such as `/digits`"
    )
    ui: bool = Field(True, description="whether `/` is the playground; if not, it leads to `/docs`")
    log: Form = Field("console", description="form of the log on standard error: `console` or `json`")
    log_requests: bool = Field(True, description="whether each request is a line in it")
    drain_seconds: NonNegativeFloat = Field(
        5.0,
        allow_inf_nan=False,
        description="time between SIGTERM, when `/readyz` turns 503, and the end of taking requests",
    )

    @field_validator("api_keys", "cors_origins", mode="before")
    @classmethod
    def _split_at_commas(cls, value: object) -> object:
        return tuple(part.strip() for part in value.split(",")) if isinstance(value, str) else value

    @field_validator("cors_origins")
    @classmethod
    def _check_origins(cls, origins: tuple[str, ...]) -> tuple[str, ...]:
        if wrong := [origin for origin in origins if not ORIGIN.fullmatch(origin)]:
            raise ValueError(f"{wrong[0]!r} is no origin: a scheme, a host and maybe a port, as in https://example.org")
        return origins

    @field_validator("root_path")
    @classmethod
    def _check_root_path(cls, path: str) -> str:
        if path.strip("/") and not path.startswith("/"):
            raise ValueError("a prefix begins with a slash")
        return path.rstrip("/")

    @field_validator("api_keys_file")
    @classmethod
    def _check_keys_file(cls, path: Path | None) -> Path | None:
        if path and not _keys_in(path):
            raise ValueError("it holds no key")
        return path

    @field_validator("api_keys")
    @classmethod
    def _add_keys_of_file(cls, keys: tuple[SecretStr, ...], info: ValidationInfo) -> tuple[SecretStr, ...]:
        _check_keys(keys)
        path = info.data.get("api_keys_file")
        return (*keys, *_keys_in(path)) if path else keys


def _keys_in(path: Path) -> tuple[SecretStr, ...]:
    """The keys of a file, without its empty lines. Raises ValueError when it cannot be read or a key cannot be sent."""
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
    except OSError as error:
        raise ValueError(f"it cannot be read ({error.strerror})") from None
    except UnicodeDecodeError:
        raise ValueError("it is no text") from None
    keys = tuple(SecretStr(line.strip()) for line in lines if line.strip())
    _check_keys(keys)
    return keys


def _check_keys(keys: tuple[SecretStr, ...]) -> None:
    plain = [key.get_secret_value() for key in keys]
    if not all(key and key.isascii() and key.isprintable() for key in plain):
        raise ValueError("a key is made of printable ASCII characters, at least one")


def read() -> Settings:
    """The settings from the environment. Raises SetupError that names the first variable that does not fit."""
    try:
        return Settings()
    except ValidationError as error:
        first = error.errors()[0]
        variable = "_".join(("DENOISE", *(str(part).upper() for part in first["loc"])))
        value = "" if first["loc"] == ("api_keys",) else f"={first['input']}"  # Keys are secret.
        why = first["msg"].removeprefix("Value error, ")  # Pydantic puts it before the words of the checks here.
        raise SetupError(f"{variable}{value} cannot be used: {why}.") from None


def unknown(environment: Iterable[str]) -> list[str]:
    """A sentence for each variable of an environment that looks like a setting and is none."""
    known = {PREFIX + name.upper() for name in Settings.model_fields}
    sentences = []
    for name in sorted(environment):
        if name.upper().startswith(PREFIX) and name.upper() not in known | OTHERS:
            nearest = get_close_matches(name.upper(), known, 1, ALIKE)
            hint = f"the nearest one is {nearest[0]}" if nearest else "docs/settings.md lists them"
            sentences.append(f"There is no setting {name}; {hint}.")
    return sentences
