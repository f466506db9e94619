"""Foreign denoisers of all forms are adopted, understood as they mean their numbers, and give what they gave."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import pytest
from onnx import TensorProto, helper, numpy_helper

from denoise.errors import SetupError
from denoise.inference import adoption
from denoise.inference.denoiser import Denoiser
from denoise.inference.foreign import Form, Range, Reading
from denoise.inference.ways import CPU

FACTS = {"title": "Foreign", "training_data": "unknown", "noise": "unknown"}
Shape = Sequence[int | str]
GREY: Shape = ("n", 1, "h", "w")


def foreign(
    folder: Path, nodes: Sequence[onnx.NodeProto], taken: Shape = GREY, given: Shape = GREY, **weights: object
) -> Path:
    """A file with these nodes between `x` and `y`."""
    graph = helper.make_graph(
        nodes,
        "foreign",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, taken)],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, given)],
        [numpy_helper.from_array(np.asarray(value), name) for name, value in weights.items()],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 13)], ir_version=8)
    onnx.save(model, folder / "foreign.onnx")
    return folder / "foreign.onnx"


def blurring(folder: Path, channels: int = 1, given: int = 1, *, last: bool = False, size: Shape = ("h", "w")) -> Path:
    """A mean over 3×3 pixels, and over the channels."""
    kernel = np.full((given, channels, 3, 3), 1 / 9 / channels, np.float32)
    if not last:
        node = helper.make_node("Conv", ["x", "k"], ["y"], pads=[1, 1, 1, 1])
        return foreign(folder, [node], ("n", channels, *size), ("n", given, *size), k=kernel)
    nodes = [
        helper.make_node("Transpose", ["x"], ["first"], perm=[0, 3, 1, 2]),
        helper.make_node("Conv", ["first", "k"], ["blurred"], pads=[1, 1, 1, 1]),
        helper.make_node("Transpose", ["blurred"], ["y"], perm=[0, 2, 3, 1]),
    ]
    return foreign(folder, nodes, ("n", *size, channels), ("n", *size, given), k=kernel)


def thresholding(folder: Path, least: float, black: float, *, noise: bool = False, above: bool = True) -> Path:
    """What is under `least`, or above it where `above` is false, becomes `black`; or it gives what that takes off."""
    inputs = ["x", "black"] if above else ["black", "x"]
    nodes = [
        helper.make_node("Greater", ["x", "least"], ["bright"]),
        helper.make_node("Where", ["bright", *inputs], ["clean"]),
        helper.make_node("Sub", ["x", "clean"], ["y"]) if noise else helper.make_node("Identity", ["clean"], ["y"]),
    ]
    return foreign(folder, nodes, least=np.float32(least), black=np.float32(black))


def loaded(path: Path) -> tuple[adoption.Adoption, Denoiser]:
    adopted = adoption.adopt(path, "denoise", FACTS)
    (path.parent / "adopted.onnx").write_bytes(adopted.content)
    return adopted, Denoiser(path.parent / "adopted.onnx", CPU, 1)


@pytest.mark.parametrize("size", [("h", "w"), (28, 28), (40, 52)], ids=str)
@pytest.mark.parametrize("last", [False, True])
@pytest.mark.parametrize(("channels", "given"), [(1, 1), (3, 3), (3, 1)])
def test_every_form_is_found_out_and_gives_what_it_gave(
    tmp_path: Path, size: tuple[int, int], last: bool, channels: int, given: int
) -> None:
    path = blurring(tmp_path, channels, given, last=last, size=size)
    adopted, model = loaded(path)
    fixed = size if isinstance(size[0], int) else None
    assert adopted.form == Form(not last, channels, given, fixed)
    assert model.size == fixed
    seen = np.random.default_rng(0).random((2, *(fixed or (28, 36)), 1), np.float32)
    theirs = seen.repeat(channels, axis=3)
    (answer,) = onnxruntime.InferenceSession(path).run(None, {"x": theirs if last else theirs.transpose(0, 3, 1, 2)})
    expected = (answer if last else answer.transpose(0, 2, 3, 1)).mean(axis=3, keepdims=True)
    assert np.abs(model(seen).pixels - expected).max() < 1e-6


@pytest.mark.parametrize(
    ("made", "reading"),
    [
        ((0.4, 0.0), Reading(Range(0, 1), dark_ink=False, gives_noise=False)),
        ((100.0, 0.0), Reading(Range(0, 255), dark_ink=False, gives_noise=False)),
        ((-0.2, -1.0), Reading(Range(-1, 1), dark_ink=False, gives_noise=False)),
    ],
    ids=str,
)
@pytest.mark.parametrize("noise", [False, True])
def test_the_way_it_means_its_numbers_is_found_out(
    tmp_path: Path, made: tuple[float, float], reading: Reading, noise: bool
) -> None:
    adopted, _ = loaded(thresholding(tmp_path, *made, noise=noise))
    assert adopted.reading == reading._replace(gives_noise=noise)
    assert adopted.after > adopted.before + 3


def test_a_model_for_dark_ink_on_white_is_turned_over(tmp_path: Path) -> None:
    adopted, model = loaded(thresholding(tmp_path, 0.6, 1.0, above=False))
    assert adopted.reading == Reading(Range(0, 1), dark_ink=True, gives_noise=False)
    assert not model(np.full((1, 28, 28, 1), 0.3, np.float32)).pixels.any()


def test_it_is_said_when_a_model_does_not_clean(tmp_path: Path) -> None:
    adopted, _ = loaded(foreign(tmp_path, [helper.make_node("Identity", ["x"], ["y"])]))
    assert list(adoption.tell(adopted))[-1].startswith("It does not clean these")


@pytest.mark.parametrize(
    ("taken", "given", "trouble"),
    [
        (("n", 784), ("n", 784), r"takes `x` \['n', 784\] of float: one float32 input of four axes"),
        (("n", "c", "h", "w"), GREY, "neither its second nor its last axis"),
        (("n", 1, 28, 1), ("n", 1, 28, 1), "both its second and its last axis"),
        (("n", 1, 28, "w"), GREY, "both fixed or both free"),
    ],
)
def test_a_model_that_takes_no_pictures_is_refused(tmp_path: Path, taken: Shape, given: Shape, trouble: str) -> None:
    path = foreign(tmp_path, [helper.make_node("Identity", ["x"], ["y"])], taken, given)
    with pytest.raises(SetupError, match=trouble):
        adoption.adopt(path, "denoise", FACTS)


def test_a_model_that_needs_multiples_of_more_than_four_gets_them(tmp_path: Path) -> None:
    nodes = [
        helper.make_node("SpaceToDepth", ["x"], ["deep"], blocksize=16),
        helper.make_node("DepthToSpace", ["deep"], ["y"], blocksize=16),
    ]
    adopted, model = loaded(foreign(tmp_path, nodes))
    assert adopted.form.multiple == 16
    seen = np.random.default_rng(0).random((3, 36, 44, 1), np.float32)
    assert np.array_equal(model(seen).pixels, seen)


def test_a_model_that_gives_another_size_is_refused(tmp_path: Path) -> None:
    path = foreign(tmp_path, [helper.make_node("MaxPool", ["x"], ["y"], kernel_shape=[2, 2], strides=[2, 2])])
    with pytest.raises(SetupError, match=r"gives \[2, 1, 6, 6\] for 2 pictures of 12×12"):
        adoption.adopt(path, "denoise", FACTS)


def test_a_model_that_takes_one_picture_at_a_time_is_refused(tmp_path: Path) -> None:
    node = helper.make_node("Reshape", ["x", "shape"], ["y"])
    path = foreign(tmp_path, [node], (1, 1, 28, 28), (1, 1, 28, 28), shape=np.array([1, 1, 28, 28]))
    with pytest.raises(SetupError, match="does not run on 2 pictures of 28×28"):
        adoption.adopt(path, "denoise", FACTS)


def test_a_file_that_is_none_is_refused(tmp_path: Path) -> None:
    (tmp_path / "text.onnx").write_text("no model")
    with pytest.raises(SetupError, match="is no ONNX file that can be used"):
        adoption.adopt(tmp_path / "text.onnx", "denoise", FACTS)
    with pytest.raises(SetupError, match="cannot be read: No such file"):
        adoption.adopt(tmp_path / "nothing.onnx", "denoise", FACTS)
