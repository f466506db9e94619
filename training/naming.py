"""What an exported file is called within, for whoever opens it in a viewer: the file, its graph, nodes and weights."""

from collections import Counter
from datetime import date

import onnx

DONE_TO_THE_PICTURE = {"denoise": "without its noise", "reconstruct": "given back from its hidden code"}


def describe(model: onnx.ModelProto, name: str, title: str, task: str, made: date) -> None:
    """Gives a model file its name, a description, and the day that it was made, such as 20261123, as its version."""
    text = (
        f"{title}. `image`: a picture of handwritten digits, light ink on black, 0 … 1. "
        f"`restored`: the same {DONE_TO_THE_PICTURE[task]}."
    )
    model.model_version = int(f"{made:%Y%m%d}")
    model.domain = "denoise"
    model.doc_string = model.graph.doc_string = text
    model.graph.name = name


def rename(model: onnx.ModelProto) -> None:
    """Names nodes by what they do and their place, `conv_3`, and weights by the node and ONNX' own word, `conv_3.W`.

    Weights come in the order of their use. The converter's names count what the same process has made before, and so
    differ from run to run.
    """
    graph = model.graph
    version = next(each.version for each in model.opset_import if not each.domain)
    names = {value.name: value.name for value in (*graph.input, *graph.output)}
    weights = {weight.name for weight in graph.initializer}
    counts: Counter[str] = Counter()
    for node in graph.node:
        kind = node.op_type.lower()
        counts[kind] += 1
        node.name = f"{kind}_{counts[kind]}"
        words = [each.name for each in onnx.defs.get_schema(node.op_type, version).inputs]
        for place, sent in enumerate(node.input):
            if sent in weights:
                word = words[place] if place < len(words) else f"{words[-1]}{place}"  # Some take as many as there are.
                names.setdefault(sent, f"{node.name}.{word}")
        for place, given in enumerate(node.output):
            names.setdefault(given, node.name if len(node.output) == 1 else f"{node.name}.{place}")
    for node in graph.node:
        node.input[:] = [names.get(sent, sent) for sent in node.input]
        node.output[:] = [names[given] for given in node.output]
    for each in (*graph.initializer, *graph.value_info):
        each.name = names.get(each.name, each.name)
    places = {name: place for place, name in enumerate(names.values())}
    ordered = sorted(graph.initializer, key=lambda weight: places[weight.name])
    del graph.initializer[:]
    graph.initializer.extend(ordered)
