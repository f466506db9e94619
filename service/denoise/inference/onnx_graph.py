"""The graph of a foreign model's file, and what is put around it. The one module that knows onnx.

onnx is needed for nothing else in the service: it comes with the extra `adopt`.
"""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import TensorProto, compose, helper, numpy_helper

from denoise.errors import SetupError
from denoise.inference.foreign import COLOR, GREY, MULTIPLES, Form, Reading

Model = onnx.ModelProto
Values = NDArray[Any]
LEAST_OPSET = 11  # Before it the edges to repeat have to be known when the file is made.
LEAST_IR = 4  # Before it every weight is an input as well.
IMAGE_AXES = len(("batch", "channels", "height", "width"))


def load(path: Path) -> Model:
    """The model, weights that lie beside it included. Raises SetupError."""
    try:
        model = onnx.load(path)
        onnx.checker.check_model(model)
    except OSError as error:
        raise SetupError(f"{path} cannot be read: {error.strerror or error}.") from None
    except Exception as error:  # protobuf's and onnx' own have no base class in common.
        raise SetupError(f"{path} is no ONNX file that can be used: {str(error).strip()}") from None
    opset = max((each.version for each in model.opset_import if each.domain in ("", "ai.onnx")), default=0)
    if opset < LEAST_OPSET:
        raise SetupError(f"{path} is of opset {opset}; {LEAST_OPSET} is the first that can be adopted.")
    weights = {each.name for each in model.graph.initializer}
    inputs = [each for each in model.graph.input if each.name not in weights]
    del model.graph.input[:]
    model.graph.input.extend(inputs)
    model.ir_version = max(model.ir_version, LEAST_IR)
    return model


def count_weights(model: Model) -> int:
    """How many numbers were trained."""
    weights = [each for each in model.graph.initializer if each.data_type == TensorProto.FLOAT]
    return sum(int(np.prod(each.dims)) for each in weights)


def describe(model: Model, metadata: Mapping[str, str]) -> bytes:
    """The content of the model's file, with this metadata and no other."""
    helper.set_model_props(model, dict(metadata))
    content: bytes = model.SerializeToString()
    return content


def _shape(value: onnx.ValueInfoProto) -> list[int | str]:
    return [each.dim_value or each.dim_param or "?" for each in value.type.tensor_type.shape.dim]


def read_form(path: Path, model: Model) -> Form:
    """How it takes pictures, as its file says. Raises SetupError when it takes none."""
    expected = "one float32 input of four axes, one of which is 1 or 3 channels, is expected"
    told = [f"`{each.name}` {_shape(each)}" for each in model.graph.input]
    if len(told) != 1 or not model.graph.output:
        raise SetupError(f"{path} has {len(told)} inputs ({', '.join(told)}): {expected}.")
    kind, shape = model.graph.input[0].type.tensor_type.elem_type, _shape(model.graph.input[0])
    if kind != TensorProto.FLOAT or len(shape) != IMAGE_AXES:
        raise SetupError(f"{path} takes {told[0]} of {TensorProto.DataType.Name(kind).lower()}: {expected}.")
    first, last = (shape[axis] in (GREY, COLOR) for axis in (1, 3))
    if first == last:
        where = (
            "both its second and its last axis may be" if first else "neither its second nor its last axis is one of"
        )
        raise SetupError(f"{path} takes {told[0]}, where {where} 1 or 3 channels: {expected}.")
    height, width = shape[2:] if first else shape[1:3]
    if isinstance(height, int) != isinstance(width, int):
        raise SetupError(f"{path} takes {told[0]}: its height and its width are to be both fixed or both free.")
    channels = int(shape[1] if first else shape[3])
    size = (height, width) if isinstance(height, int) and isinstance(width, int) else None
    return Form(first, channels, 0, size)


class _Chain:
    """Nodes one behind the other, each of which does something to the picture that the one before gives."""

    def __init__(self, graph: onnx.GraphProto, value: str) -> None:
        self.graph, self.value = graph, value
        self.nodes: list[onnx.NodeProto] = []

    def add(self, kind: str, *others: Values | float | str, turned: bool = False, **options: Any) -> None:
        """One more, of the picture and constants or the names of other values, in this order or `turned`."""
        inputs = [self.value, *(each if isinstance(each, str) else self._constant(each) for each in others)]
        place = len(self.nodes) + len(self.graph.node)
        self.value = f"adopting/{kind.lower()}_{place}"
        node = helper.make_node(kind, inputs[::-1] if turned else inputs, [self.value], self.value, **options)
        self.nodes.append(node)

    def _constant(self, value: Values | float) -> str:
        name = f"adopting/constant_{len(self.graph.initializer)}"
        array = np.float32(value) if isinstance(value, int | float) else value
        self.graph.initializer.append(numpy_helper.from_array(np.asarray(array), name))
        return name

    def pad(self, multiple: int) -> str:
        """Repeats the lower and right edges up to multiples; gives the name of the shape that was before."""
        picture, steps = self.value, np.array([1, multiple, multiple, 1])
        self.add("Shape")
        shape = self.value
        self.add("Mod", steps)
        self.add("Sub", steps, turned=True)
        self.add("Mod", steps)
        self.add("Concat", np.zeros(IMAGE_AXES, np.int64), turned=True, axis=0)
        pads, self.value = self.value, picture
        self.add("Pad", pads, mode="edge")
        return shape

    def scale(self, factor: float) -> None:
        """Multiplies, where that changes anything."""
        if factor != 1:
            self.add("Mul", factor)

    def shift(self, by: float) -> None:
        """Adds, where that changes anything."""
        if by:
            self.add("Add", by)

    def end(self, value: str) -> Sequence[onnx.NodeProto]:
        """All of them, the last of which gives a value of that name."""
        self.add("Identity")
        self.nodes[-1].output[0] = value
        return self.nodes


def wrap(model: Model, form: Form, reading: Reading, *, as_it_comes: bool = False) -> Model:
    """The model between what turns a picture of the contract into its own and back; or its output `as_it_comes`."""
    wrapped: Model = compose.add_prefix(model, "adopted/")
    graph = wrapped.graph
    taken, given = graph.input[0].name, graph.output[0].name
    black, white = reading.range
    before = _Chain(graph, "image")
    shape = before.pad(form.multiple) if form.multiple > MULTIPLES[0] and not as_it_comes else None
    if reading.dark_ink:
        before.add("Sub", 1.0, turned=True)
    before.scale(white - black)
    before.shift(black)
    seen = before.value
    if form.channels == COLOR:
        before.add("MatMul", np.ones((1, COLOR), np.float32))
    if form.channels_first:
        before.add("Transpose", perm=[0, 3, 1, 2])
    nodes = [*before.end(taken), *graph.node]
    del graph.node[:]
    graph.node.extend(nodes)
    after = _Chain(graph, given)
    if not as_it_comes:
        _turn_back(after, form, reading, seen)
    if shape:
        after.add("Slice", np.zeros(IMAGE_AXES, np.int64), shape)
    graph.node.extend(after.end("restored"))
    _declare(graph, form, as_it_comes=as_it_comes)
    return wrapped


def _turn_back(chain: _Chain, form: Form, reading: Reading, seen: str) -> None:
    """What follows the model; `seen` is the picture in the model's range, grey, with the channel last."""
    black, white = reading.range
    if form.channels_first:
        chain.add("Transpose", perm=[0, 2, 3, 1])
    if form.channels_given == COLOR:
        chain.add("MatMul", np.full((COLOR, 1), 1 / COLOR, np.float32))
    if reading.gives_noise:
        chain.add("Sub", seen, turned=True)
    chain.shift(-black)
    chain.scale(1 / (white - black))
    if reading.dark_ink:
        chain.add("Sub", 1.0, turned=True)
    chain.add("Max", 0.0)
    chain.add("Min", 1.0)


def _declare(graph: onnx.GraphProto, form: Form, *, as_it_comes: bool) -> None:
    """The one input and the one output, as the contract has them."""
    shape = ["batch", *(form.size or ("height", "width")), 1]
    values = [helper.make_tensor_value_info(name, TensorProto.FLOAT, shape) for name in ("image", "restored")]
    if as_it_comes:
        values[1] = helper.make_tensor_value_info("restored", TensorProto.FLOAT, [None] * IMAGE_AXES)
    for old, new in ((graph.input, values[0]), (graph.output, values[1])):
        del old[:]
        old.append(new)
    del graph.value_info[:]  # It may say that there is one picture in a batch.
