"""How a picture is to be cleaned: the parameters, as callers write them, and what is wrong with them in sentences.

The web has them from a query, a form or JSON, the command line from its options, Python from its arguments.
"""

from collections.abc import Iterable, Mapping
from difflib import get_close_matches
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, NonNegativeInt, PositiveInt, ValidationError, field_validator

from denoise.errors import BadParameter
from denoise.pictures.images import Kind

MOST_CHARACTERS_SHOWN = 100
# Other common spellings of choices.
ALIASES = {"jpg": "jpeg", "tif": "tiff", "gray": "grey"}
# Pydantic's errors that say that JSON has something else in the place of an object.
OBJECTS = {"model_type", "dict_type"}


class Parameters(BaseModel):
    """How a picture is to be cleaned. Each field is a query parameter, a form field and a key in JSON."""

    model_config = ConfigDict(frozen=True)

    model: str | None = Field(
        None, examples=["conv_dae"], description="A name that `/models` lists; else the route's default."
    )
    size: Literal["input", "native"] = Field(
        "input",
        examples=["input"],
        description="`input`: the answer has the picture's width and height; `native`: the model's own.",
    )
    invert: Literal["auto", "true", "false"] = Field(
        "auto",
        examples=["auto"],
        description="The models see light ink on black. `true`: the picture is dark ink on light paper, is turned over "
        "for the model and turned back in the answer; `false`: it is not; `auto`: found out.",
    )
    layout: Literal["single", "strip"] = Field(
        "single",
        examples=["single"],
        description="`strip`: one captioned picture of what was sent, what the model saw, its hidden code where it has "
        "one, the answer and the difference.",
    )
    color: Literal["grey", "keep"] = Field(
        "grey",
        examples=["grey"],
        description="`keep`: the ink keeps its colour, on white paper, or on black where it is light.",
    )
    strength: float = Field(
        1.0,
        ge=0,
        le=1,
        allow_inf_nan=False,
        examples=[1.0],
        description="How much of the answer there is in what comes back; the rest is what was sent.",
    )
    format: Literal[Kind, "zip", "json"] | None = Field(
        None, examples=["png"], description="The kind of the answer; wins over `Accept`."
    )
    page: PositiveInt | None = Field(
        None, examples=[1], description="The one that is meant of a file with several pages; else all of them."
    )
    noise: float = Field(
        0.0,
        ge=0,
        le=1,
        allow_inf_nan=False,
        examples=[0.5],
        description="Factor of the Gaussian noise that is laid over the picture first, to see the model work.",
    )
    seed: NonNegativeInt | None = Field(None, examples=[7], description="Makes `noise` the same every time.")

    @field_validator("size", "invert", "layout", "color", "format", mode="before")
    @classmethod
    def _spell(cls, value: object) -> object:
        """Programs write True and TRUE, and JSON has a true of its own; files end in .jpg."""
        if not isinstance(value, bool | str):
            return value
        spelt = str(value).lower()
        return ALIASES.get(spelt, spelt)


def merge(parameters: Parameters, others: Mapping[str, Any]) -> Parameters:
    """The parameters with others laid over them, which win. An empty one is not set, as forms send those left empty.

    Raises BadParameter when one does not exist, or is outside its choices.
    """
    _check_names(others)
    given = {name: value for name, value in others.items() if value not in ("", None)}
    try:
        return Parameters.model_validate(parameters.model_dump() | given)
    except ValidationError as error:
        raise BadParameter(sentences(error.errors())) from None


def _check_names(names: Iterable[str]) -> None:
    there = list(Parameters.model_fields)
    for name in names:
        if name not in there:
            nearest = get_close_matches(name[:MOST_CHARACTERS_SHOWN].lower(), there, 1)
            hint = f"the nearest one is '{nearest[0]}'" if nearest else f"there are: {', '.join(there)}"
            raise BadParameter(f"There is no parameter '{name[:MOST_CHARACTERS_SHOWN]}'; {hint}.")


def sentences(errors: Any) -> str:
    """Pydantic's errors as sentences that name the parameter and the value that was sent."""
    return " ".join(_sentence(error) for error in errors)


def _sentence(error: Any) -> str:
    name = ".".join(str(part) for part in error["loc"] if part != "query") or "The JSON"
    value = error["input"]  # A structure may be megabytes long, and is not repeated.
    sent = f"={str(value)[:MOST_CHARACTERS_SHOWN]}" if isinstance(value, str | int | float) else ""
    wrong = "Input should be an object" if error["type"] in OBJECTS else error["msg"]
    return f"{name}{sent}: {wrong}."
