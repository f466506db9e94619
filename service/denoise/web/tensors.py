"""The Open Inference Protocol's bytes <-> pixels: JSON, and the raw tensors that may follow it.

Format: https://github.com/kserve/open-inference-protocol, and Triton's extension for binary tensors,
https://github.com/triton-inference-server/server/blob/main/docs/protocol/extension_binary_data.md.
"""

import itertools
import math
import re
from collections.abc import Mapping, Sequence
from typing import Annotated, Any, NamedTuple

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, Field, ValidationError
from pydantic_core import to_json

from denoise.errors import BadTensor, BrokenBody
from denoise.inference.denoiser import Denoiser
from denoise.pictures import MULTIPLE, RANGE_SLACK, Pixels

IMAGE = "image"
TYPES: dict[str, np.dtype[Any]] = {"FP32": np.dtype("<f4"), "UINT8": np.dtype("u1")}
# Values that a tensor may have as JSON: as text they take twenty bytes each, and long.
MOST_IN_JSON = 1_000_000
MOST_NAMES = 1000
# Reading a number takes quadratic time in its digits.
LONG_NUMBER = re.compile(rb"\d{101}")
# Whatever is wrong with an element of a list takes a kilobyte to tell, so lists are short.
MOST_TENSORS, MOST_SIDES = 16, 8
# Longer sides would only make numbers that nobody can read.
LONGEST_SIDE = 2**31

Length = Annotated[int, Field(ge=0, le=LONGEST_SIDE)]


class _InputParameters(BaseModel):
    binary_data_size: Length | None = None


class _Input(BaseModel):
    name: str
    shape: list[Length] = Field(max_length=MOST_SIDES)
    datatype: str
    parameters: _InputParameters = _InputParameters()
    data: list[Any] | None = None


class _OutputParameters(BaseModel):
    binary_data: bool | None = None
    classification: int = 0
    shared_memory_region: str | None = None


class _Output(BaseModel):
    name: str
    parameters: _OutputParameters = _OutputParameters()


class _Parameters(BaseModel):
    binary_data_output: bool = False


class _Inference(BaseModel):
    id: str = ""
    parameters: _Parameters = _Parameters()
    inputs: list[_Input] = Field(min_length=1, max_length=MOST_TENSORS)
    outputs: list[_Output] | None = Field(None, max_length=MOST_TENSORS)


class Inference(NamedTuple):
    """What is asked for.

    Attributes:
        pixels: `[batch, height, width, 1]`, 0 … 1, light ink on black.
        outputs: the names of those that are wanted, in order, and whether each is to be binary.
    """

    id: str
    pixels: Pixels
    outputs: dict[str, bool]


def parse(body: bytes, json_length: str, model: Denoiser, most_pictures: int, most_pixels: int) -> Inference:
    """A request's body; `json_length` is its Inference-Header-Content-Length, "" when there is none.

    Raises:
        BrokenBody: the JSON cannot be read, or is none of the protocol's.
        BadTensor: sizes do not add up, a tensor does not fit `model`, or there are more pictures or pixels than that,
            or more values of outputs than may be JSON.
    """
    length = json_bytes(json_length, len(body))
    _check_structure(body[:length])
    try:
        asked = _Inference.model_validate_json(body[:length])
    except ValidationError as error:
        raise BrokenBody(_sentence(error)) from None
    binary = memoryview(body)[length:]
    if len(asked.inputs) > 1 or asked.inputs[0].name != IMAGE:
        names = ", ".join(tensor.name[:100] for tensor in asked.inputs)
        raise BadTensor(f"{model.name} has one input, `{IMAGE}`; the request has: {names[:300]}.")
    tensor = asked.inputs[0]
    if tensor.datatype not in TYPES:
        raise BadTensor(f"`{IMAGE}` has the datatype {tensor.datatype[:100]}; {' and '.join(TYPES)} are taken.")
    _check_shape(tensor.shape, model, most_pictures, most_pixels)
    outputs = _outputs(asked, model, tensor.shape)
    values = _from_bytes(tensor, binary) if tensor.data is None else _from_json(tensor, binary)
    whole = tensor.datatype == "UINT8"
    pixels: Pixels = np.divide(values, 255, dtype=np.float32) if whole else values.astype(np.float32, copy=False)
    least, most = float(pixels.min()), float(pixels.max())
    if not (math.isfinite(least) and math.isfinite(most)):  # The least of NaN and others is NaN.
        raise BadTensor(f"`{IMAGE}` holds values that are no finite numbers.")
    if least < -RANGE_SLACK or most > 1 + RANGE_SLACK:
        raise BadTensor(f"`{IMAGE}` has values from {least:g} to {most:g}; FP32 is taken from 0 to 1.")
    return Inference(asked.id, pixels, outputs)


def compose(model: str, version: str, inference: Inference, tensors: Mapping[str, NDArray[Any]]) -> tuple[bytes, int]:
    """An answer's body with these outputs, and the length of the JSON in it; less than all when tensors follow it."""
    outputs: list[dict[str, Any]] = []
    parts: list[bytes] = []
    for name, binary in inference.outputs.items():
        values = tensors[name]
        output: dict[str, Any] = {"name": name, "datatype": "FP32", "shape": list(values.shape)}
        if binary:
            parts.append(values.astype("<f4", copy=False).tobytes())
            output["parameters"] = {"binary_data_size": len(parts[-1])}
        else:
            output["data"] = values.ravel().tolist()
        outputs.append(output)
    head = to_json({"model_name": model, "model_version": version, "id": inference.id, "outputs": outputs})
    return b"".join([head, *parts]), len(head)


def json_bytes(declared: str, whole: int) -> int:
    """How many bytes of a body of `whole` bytes are JSON, as its header declares. Raises BadTensor."""
    if not declared:
        return whole
    if not (declared.isascii() and declared.isdigit()) or len(declared) > len(str(whole)) or int(declared) > whole:
        raise BadTensor(f"Inference-Header-Content-Length is {declared[:100]}, and the body has {whole:,} bytes.")
    return int(declared)


def _check_structure(content: bytes) -> None:
    """Bounds what parsing may take, before it: a tensor is numbers, and each of them as an object is dear."""
    counts = {mark: content.count(mark) for mark in (b",", b"[", b"{", b'"')}
    if max(counts[b","], counts[b"["]) > MOST_IN_JSON:
        raise BadTensor(f"The JSON has more than {MOST_IN_JSON:,} values; send them as binary tensors.")
    if max(counts[b"{"], counts[b'"']) > MOST_NAMES:
        raise BrokenBody(f"The JSON has more than {MOST_NAMES:,} objects or quotes; `data` is numbers alone.")
    if LONG_NUMBER.search(content):
        raise BadTensor("The JSON has a number of more than a hundred digits.")


def _check_shape(shape: Sequence[int], model: Denoiser, most_pictures: int, most_pixels: int) -> None:
    expected = [-1, *(side if isinstance(side, int) else -1 for side in model.inputs[0].shape[1:])]
    fits = len(shape) == len(expected) and all(e in (-1, s) for e, s in zip(expected, shape, strict=True))
    if not fits or not all(shape):
        raise BadTensor(
            f"`{IMAGE}` has the shape {list(shape)[:10]}; {model.name} takes {expected}, -1 being any length."
        )
    if model.size is None and (shape[1] % MULTIPLE or shape[2] % MULTIPLE):
        raise BadTensor(f"{model.name} takes sides that are multiples of {MULTIPLE}, not {shape[1]}×{shape[2]}.")
    if shape[0] > most_pictures:
        raise BadTensor(f"`{IMAGE}` has {shape[0]:,} pictures; at most {most_pictures:,} are taken.")
    if math.prod(shape) > most_pixels:
        raise BadTensor(f"`{IMAGE}` has {math.prod(shape):,} pixels; at most {most_pixels:,} are taken.")


def _from_bytes(tensor: _Input, binary: memoryview) -> NDArray[Any]:
    kind = TYPES[tensor.datatype]
    expected, declared = math.prod(tensor.shape) * kind.itemsize, tensor.parameters.binary_data_size
    if declared is None:
        raise BadTensor(f"`{IMAGE}` has neither `data` nor `parameters.binary_data_size`.")
    if not expected == declared == len(binary):
        raise BadTensor(
            f"`{IMAGE}` of shape {tensor.shape} and {tensor.datatype} takes {expected:,} bytes; "
            f"binary_data_size is {declared:,}, and {len(binary):,} bytes follow the JSON."
        )
    values: NDArray[Any] = np.frombuffer(binary, kind).reshape(tensor.shape)
    return values


def _from_json(tensor: _Input, binary: memoryview) -> NDArray[Any]:
    if len(binary) or tensor.parameters.binary_data_size is not None:
        raise BadTensor(f"`{IMAGE}` has `data`, and bytes beside it: one or the other.")
    whole = tensor.datatype == "UINT8"
    numbers = _flat(tensor.data or [], tensor.shape)
    if not set(map(type, numbers)) <= ({int} if whole else {int, float}):
        raise BadTensor(f"The `data` of `{IMAGE}` are no numbers, or none that {tensor.datatype} can be.")
    values = np.array(numbers, np.float64)
    if whole and (values.min() < 0 or values.max() > np.iinfo(np.uint8).max):
        raise BadTensor(f"The `data` of `{IMAGE}` are {values.min():g} … {values.max():g}; UINT8 is 0 … 255.")
    with np.errstate(over="ignore"):  # What is too large becomes infinite, and is refused.
        return values.astype(TYPES[tensor.datatype]).reshape(tensor.shape)


def _flat(data: list[Any], shape: Sequence[int]) -> list[Any]:
    """The values of a list that is flat, or nested as its shape says. Raises BadTensor when it is neither."""
    if data and type(data[0]) is list:
        for length in shape[1:]:
            if set(map(type, data)) != {list} or set(map(len, data)) != {length}:
                raise BadTensor(f"The `data` of `{IMAGE}` are nested in other ways than its shape.")
            data = list(itertools.chain.from_iterable(data))
    if len(data) != math.prod(shape):
        raise BadTensor(f"`{IMAGE}` of shape {list(shape)} has {math.prod(shape):,} values, not {len(data):,}.")
    return data


def _outputs(asked: _Inference, model: Denoiser, shape: Sequence[int]) -> dict[str, bool]:
    names = [output.name for output in model.outputs]
    standard = asked.parameters.binary_data_output
    wanted = {} if asked.outputs else dict.fromkeys(names, standard)
    for output in asked.outputs or ():
        if output.name not in names:
            raise BadTensor(f"{model.name} has no output '{output.name[:100]}'; there are: {', '.join(names)}.")
        if output.parameters.classification or output.parameters.shared_memory_region:
            raise BadTensor("Neither classification nor shared memory is offered here.")
        binary = output.parameters.binary_data
        wanted[output.name] = standard if binary is None else binary
    values = math.prod(shape) * list(wanted.values()).count(False)  # A code has fewer than its picture.
    if values > MOST_IN_JSON:
        raise BadTensor(f"The outputs are up to {values:,} values; as JSON at most {MOST_IN_JSON:,} are given.")
    return wanted


def _sentence(error: ValidationError) -> str:
    first = error.errors(include_url=False, include_context=False)[0]
    place = ".".join(str(part) for part in first["loc"])
    return f"The JSON cannot be read: {f'{place[:100]}: ' if place else ''}{first['msg']}."
