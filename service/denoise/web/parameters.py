"""Parameters as callers write them, in a query, a form or JSON, and what is wrong with them in sentences."""

from collections.abc import Iterable, Mapping
from difflib import get_close_matches
from typing import Any

from pydantic import ValidationError

from denoise.cleaning import Parameters
from denoise.errors import BadParameter

LONGEST_SHOWN = 100


def merge(parameters: Parameters, others: Mapping[str, Any]) -> Parameters:
    """The parameters with others laid over them, which win.

    Raises BadParameter when one does not exist, or is outside its choices.
    """
    _check_names(others)
    try:
        return Parameters.model_validate(parameters.model_dump() | dict(others))
    except ValidationError as error:
        raise BadParameter(sentences(error.errors())) from None


def _check_names(names: Iterable[str]) -> None:
    there = list(Parameters.model_fields)
    for name in names:
        if name not in there:
            nearest = get_close_matches(name[:LONGEST_SHOWN].lower(), there, 1)
            hint = f"the nearest one is '{nearest[0]}'" if nearest else f"there are: {', '.join(there)}"
            raise BadParameter(f"There is no parameter '{name[:LONGEST_SHOWN]}'; {hint}.")


def sentences(errors: Any) -> str:
    """Pydantic's errors as sentences that name the parameter and the value that was sent."""
    return " ".join(_sentence(error) for error in errors)


def _sentence(error: Any) -> str:
    name = ".".join(str(part) for part in error["loc"] if part != "query") or "The JSON"
    value = error["input"]  # A structure may be megabytes long, and is not repeated.
    sent = f"={str(value)[:LONGEST_SHOWN]}" if isinstance(value, str | int | float) else ""
    return f"{name}{sent}: {error['msg']}."
