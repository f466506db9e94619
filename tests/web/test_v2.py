"""The Open Inference Protocol: its standard client gets the models' own numbers, and sentences for what is wrong."""

import asyncio
import gzip
import json
import zlib
from collections.abc import Iterator

import httpx2
import numpy as np
import pytest
import tritonclient.http as triton
import tritonclient.http.aio as triton_aio
from tritonclient.utils import InferenceServerException

from denoise.inference.denoiser import Denoiser
from denoise.inference.ways import CPU
from tests.conftest import ROOT, Pixels

SHAPE = (64, 28, 28, 1)


@pytest.fixture(scope="module")
def client(server: httpx2.Client) -> Iterator[triton.InferenceServerClient]:
    with triton.InferenceServerClient(server.base_url.netloc.decode(), concurrency=4) as client:
        yield client


@pytest.fixture(scope="module")
def own() -> dict[str, Denoiser]:
    """The models in process."""
    return {name: Denoiser(ROOT / "models" / f"{name}.onnx", CPU, 1) for name in ("conv_dae", "unet_dae")}


def image(pixels: np.ndarray, *, binary: bool = True) -> list[triton.InferInput]:
    tensor = triton.InferInput("image", list(pixels.shape), "UINT8" if pixels.dtype == np.uint8 else "FP32")
    tensor.set_data_from_numpy(pixels, binary_data=binary)
    return [tensor]


def same(answer: np.ndarray, expected: np.ndarray) -> bool:
    return (
        answer.dtype == np.float32 and answer.shape == expected.shape and bool(np.abs(answer - expected).max() < 1e-5)
    )


def test_the_server_and_its_models_are_told(client: triton.InferenceServerClient) -> None:
    assert client.is_server_live()
    assert client.is_server_ready()
    assert client.is_model_ready("conv_dae")
    assert client.is_model_ready("conv_dae", "1")
    assert not client.is_model_ready("none")
    assert client.get_server_metadata()["name"] == "denoise"
    told = client.get_model_metadata("conv_dae")
    assert told["inputs"] == [{"name": "image", "datatype": "FP32", "shape": [-1, 28, 28, 1]}]
    assert [output["name"] for output in told["outputs"]] == ["restored", "code"]
    assert client.get_model_metadata("unet_dae")["inputs"][0]["shape"] == [-1, -1, -1, 1]
    assert client.get_model_config("conv_dae", "1")["max_batch_size"] == 64
    assert {row["state"] for row in client.get_model_repository_index()} == {"READY"}


@pytest.mark.parametrize("name", ["conv_dae", "unet_dae"])
def test_64_binary_tensors_give_the_numbers_of_the_model_in_process(
    client: triton.InferenceServerClient, own: dict[str, Denoiser], digits: Pixels, name: str
) -> None:
    pixels = digits[:64].reshape(SHAPE)
    answer = client.infer(name, image(pixels), request_id="mine")
    expected = own[name](pixels)
    assert same(answer.as_numpy("restored"), expected.pixels)
    assert answer.get_response()["id"] == "mine"
    if expected.code is not None:
        assert same(answer.as_numpy("code"), expected.code)


@pytest.mark.parametrize("binary_in", [True, False])
@pytest.mark.parametrize("binary_out", [True, False])
@pytest.mark.parametrize("kind", [np.float32, np.uint8])
def test_json_and_binary_say_the_same(
    client: triton.InferenceServerClient,
    own: dict[str, Denoiser],
    digits: Pixels,
    binary_in: bool,
    binary_out: bool,
    kind: type,
) -> None:
    pixels = digits[:3].reshape(3, 28, 28, 1)
    sent = np.rint(pixels * 255).astype(np.uint8) if kind is np.uint8 else pixels
    wanted = [triton.InferRequestedOutput("restored", binary_data=binary_out)]
    answer = client.infer("conv_dae", image(sent, binary=binary_in), outputs=wanted)
    assert same(answer.as_numpy("restored"), own["conv_dae"](pixels).pixels)
    assert answer.as_numpy("code") is None  # it was not asked for


@pytest.mark.parametrize("packing", ["gzip", "deflate"])
def test_bodies_may_be_packed(
    client: triton.InferenceServerClient, own: dict[str, Denoiser], digits: Pixels, packing: str
) -> None:
    pixels = digits[:64].reshape(SHAPE)
    answer = client.infer(
        "conv_dae", image(pixels), request_compression_algorithm=packing, response_compression_algorithm=packing
    )
    assert same(answer.as_numpy("restored"), own["conv_dae"](pixels).pixels)


def test_a_size_free_model_takes_pages(
    client: triton.InferenceServerClient, own: dict[str, Denoiser], digits: Pixels
) -> None:
    page = np.concatenate(list(digits[:8]), axis=1)[np.newaxis, ..., np.newaxis]
    assert same(client.infer("unet_dae", image(page)).as_numpy("restored"), own["unet_dae"](page).pixels)
    small = page[:, :, :60]
    assert same(client.infer("unet_dae", image(small)).as_numpy("restored"), own["unet_dae"](small).pixels)


def test_the_asyncio_client_gets_many_answers_at_once(
    server: httpx2.Client, own: dict[str, Denoiser], digits: Pixels
) -> None:
    async def many() -> list[np.ndarray]:
        async with triton_aio.InferenceServerClient(server.base_url.netloc.decode()) as client:
            asked = [client.infer("conv_dae", image(digits[i : i + 1, ..., np.newaxis])) for i in range(20)]
            return [answer.as_numpy("restored") for answer in await asyncio.gather(*asked)]

    assert same(np.concatenate(asyncio.run(many())), own["conv_dae"](digits[:20, ..., np.newaxis]).pixels)


def test_statistics_count_what_was_done(client: triton.InferenceServerClient, digits: Pixels) -> None:
    def done() -> tuple[int, int, int]:
        (told,) = client.get_inference_statistics("easy_dae")["model_stats"]
        return told["inference_count"], told["execution_count"], told["inference_stats"]["success"]["count"]

    before = done()
    client.infer("easy_dae", image(digits[:10, ..., np.newaxis]))
    pictures, runs, requests = (after - earlier for after, earlier in zip(done(), before, strict=True))
    assert (pictures, requests) == (10, 1)
    assert 1 <= runs <= 10
    assert len(client.get_inference_statistics()["model_stats"]) == 4


@pytest.mark.parametrize(
    ("name", "shape", "sentence"),
    [
        ("conv_dae", (1, 28, 28), r"the shape \[1, 28, 28\]; conv_dae takes \[-1, 28, 28, 1\]"),
        ("conv_dae", (2, 27, 28, 1), r"the shape \[2, 27, 28, 1\]"),
        ("conv_dae", (0, 28, 28, 1), r"the shape \[0, 28, 28, 1\]"),
        ("unet_dae", (1, 30, 32, 1), "multiples of 4, not 30×32"),
        ("none", (1, 28, 28, 1), "There is no model named 'none'"),
    ],
)
def test_what_does_not_fit_is_told(
    client: triton.InferenceServerClient, name: str, shape: tuple[int, ...], sentence: str
) -> None:
    with pytest.raises(InferenceServerException, match=sentence):
        client.infer(name, image(np.zeros(shape, np.float32)))


def asked(**changes: object) -> dict[str, object]:
    return {"name": "image", "datatype": "FP32", "shape": [1, 28, 28, 1], "data": [0] * 784} | changes


@pytest.mark.parametrize(
    ("inputs", "sentence"),
    [
        ([], "inputs"),
        ([asked(), asked()], "one input"),
        ([asked(name="pixels")], "one input"),
        ([asked(datatype="INT32")], "FP32 and UINT8 are taken"),
        ([0] * 1000, "inputs: List should have at most 16 items"),
        ([asked(shape=[-1] * 1000)], "shape: List should have at most 8 items"),
        ([asked(data=[0] * 783)], "784 values, not 783"),
        ([asked(data=[[0], 0])], "nested in other ways than its shape"),
        ([asked(data=[[0.5] * 28] * 28)], "nested in other ways than its shape"),
        ([asked(data=["0"] * 784)], "more than 1,000 objects or quotes"),
        ([asked(data=["0"] * 9 + [0] * 775)], "no numbers"),
        ([asked(data=[True] * 784)], "no numbers"),
        ([asked(data=[{}] * 784)], "no numbers"),
        ([asked(data=[2] * 784)], "values from 2 to 2; FP32 is taken from 0 to 1"),
        ([asked(data=[-0.5] + [0] * 783)], "values from -0.5 to 0"),
        ([asked(data=[1e39] * 784)], "no finite numbers"),
        ([asked(data=[10**400] * 784)], "more than a hundred digits"),
        ([asked(datatype="UINT8", data=[256] * 784)], "UINT8 is 0 … 255"),
        ([asked(datatype="UINT8", data=[0.5] * 784)], "none that UINT8 can be"),
        ([asked(data=None)], "neither `data` nor"),
        ([asked(parameters={"binary_data_size": 4})], "one or the other"),
        ([asked(data=None, parameters={"binary_data_size": 4})], "takes 3,136 bytes; binary_data_size is 4"),
        ([asked(shape=[2**40, 28, 28, 1])], "shape.0"),
        ([asked(shape=[1, 28, 10**3000, 1])], "more than a hundred digits"),
        ([asked(shape=[1025, 28, 28, 1])], "1,025 pictures; at most 1,024"),
        ([asked(shape=[-1, 28, 28, 1])], "shape"),
    ],
)
def test_every_wrong_tensor_is_told_in_a_sentence(server: httpx2.Client, inputs: list[object], sentence: str) -> None:
    answer = server.post("/v2/models/easy_dae/infer", json={"inputs": inputs})
    assert answer.status_code == 400
    assert list(answer.json()) == ["error"]
    assert sentence in answer.json()["error"]


HEAD = json.dumps({"inputs": [asked(data=None, parameters={"binary_data_size": 3136})]}).encode()
NAN = np.full(784, np.nan, "<f4").tobytes()


@pytest.mark.parametrize(
    ("body", "headers", "status"),
    [
        (HEAD + bytes(3136), {"Inference-Header-Content-Length": str(len(HEAD))}, 200),
        (HEAD + bytes(3136), {"Inference-Header-Content-Length": str(len(HEAD) + 9999)}, 400),
        (HEAD + bytes(3136), {"Inference-Header-Content-Length": "-1"}, 400),
        (HEAD + bytes(3136), {"Inference-Header-Content-Length": "1" * 5000}, 400),
        (HEAD + bytes(3136), {"Inference-Header-Content-Length": str(len(HEAD)), "Content-Encoding": "identity"}, 200),
        (HEAD + bytes(3136), {"Inference-Header-Content-Length": "²"}, 400),
        (HEAD + bytes(30_000), {"Inference-Header-Content-Length": "²"}, 400),
        (HEAD + bytes(30_000), {"Inference-Header-Content-Length": "1" * 5000}, 400),
        (HEAD + bytes(3135), {"Inference-Header-Content-Length": str(len(HEAD))}, 400),
        (HEAD + bytes(3137), {"Inference-Header-Content-Length": str(len(HEAD))}, 400),
        (HEAD + NAN, {"Inference-Header-Content-Length": str(len(HEAD))}, 400),
        (b"{", {}, 400),
        (b"[" * 100_000, {}, 400),
        (b'"\\ud800"', {}, 400),
        (b"", {}, 400),
        (gzip.compress(HEAD)[:-5], {"Content-Encoding": "gzip"}, 400),
        (b"no gzip", {"Content-Encoding": "gzip"}, 400),
        (zlib.compress(bytes(50_000_000)), {"Content-Encoding": "deflate"}, 413),
        (b"{}", {"Content-Encoding": "br"}, 415),
        (bytes(40_000_000), {}, 413),
    ],
)
def test_every_broken_body_has_its_status(
    server: httpx2.Client, body: bytes, headers: dict[str, str], status: int
) -> None:
    raw = [(name.encode(), value.encode()) for name, value in headers.items()]
    answer = server.post("/v2/models/easy_dae/infer", content=body, headers=raw)
    assert answer.status_code == status, answer.text
    assert status == 200 or list(answer.json()) == ["error"]


STRINGS = '["' + "a" * 10_000 + '"' + ',""' * 50_000 + "]"


@pytest.mark.parametrize("data", [STRINGS, f"[{','.join([STRINGS] * 8)}]", "[" + "[],[]," * 300_000 + "[]]", "[" * 99])
def test_no_json_takes_more_memory_than_numbers_would(server: httpx2.Client, data: str) -> None:
    body = json.dumps({"inputs": [asked(data=None)]}).replace('"data": null', f'"data": {data}').encode()
    headers = {"Content-Encoding": "gzip"}
    answer = server.post("/v2/models/easy_dae/infer", content=gzip.compress(body), headers=headers)
    assert answer.status_code == 400
    assert list(answer.json()) == ["error"]


@pytest.mark.parametrize("data", [[0.5] * 784, [[[[0.5]] * 28] * 28]])
def test_data_may_be_flat_or_nested_as_their_shape_says(server: httpx2.Client, data: list[object]) -> None:
    assert server.post("/v2/models/easy_dae/infer", json={"inputs": [asked(data=data)]}).status_code == 200


def test_what_is_small_packed_is_not_answered_with_more_than_can_be_held(server: httpx2.Client) -> None:
    image = asked(data=None, datatype="UINT8", shape=[1000, 28, 28, 1], parameters={"binary_data_size": 784_000})
    head = json.dumps({"inputs": [image]}).encode()
    headers = {"Inference-Header-Content-Length": str(len(head)), "Content-Encoding": "deflate"}
    answer = server.post("/v2/models/easy_dae/infer", content=zlib.compress(head + bytes(784_000)), headers=headers)
    assert answer.status_code == 400
    assert "as JSON at most 1,000,000 are given" in answer.json()["error"]


@pytest.mark.parametrize("path", ["/v2/none", "/v2/models/none", "/v2/models/easy_dae/versions/2"])
def test_what_is_not_there_is_told_in_the_protocols_form(server: httpx2.Client, path: str) -> None:
    answer = server.get(path)
    assert answer.status_code == 404
    assert list(answer.json()) == ["error"]
