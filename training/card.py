"""A model's card, models/<name>.md, and the tutorial's pictures, drawn by running the exported file."""

import json
import math
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
from PIL import Image, ImageDraw, ImageFont

from training import noise, parts, score
from training.mixtures import Mixture
from training.mnist import SIDE, Pixels
from training.parts import Blend
from training.recipes import RECIPES, TUTORIAL_NOISE, Recipe, SecondRun

DIGITS_PER_ROW = 10
# A digit of 28 pixels is too small to be looked at.
ENLARGEMENT = 2
GAP_PX = 4
CAPTION_PX = 130

# How the card says each score of the file's metadata, and the format of its number.
SCORES = {
    "loss": ("loss (cross-entropy, nats per pixel)", ".4f"),
    "psnr": ("PSNR, dB (mean over digits)", ".2f"),
    "ssim": ("SSIM (mean over digits)", ".4f"),
    "noisy_psnr": ("PSNR of the noisy input itself, dB", ".2f"),
    "noisy_ssim": ("SSIM of the noisy input itself", ".4f"),
}
METRICS = ("psnr", "ssim", "loss")
# The uncertainty is measured on so many digits per kind and level of noise.
RANKED_DIGITS = 500
USES = {
    "reconstruct": "Gives a digit back from its hidden code: one sees what the code kept and what it dropped.",
    "denoise": "Takes noise off a digit: light ink on black, 0 … 1.",
    "blind": "Takes any of the kinds of noise below, and what paper and a camera do, off any picture of digits and "
    "other writing, without being told which: light ink on black, 0 … 1, height and width multiples of 4.",
}
LIMITS = {
    "reconstruct": "Knows clean handwritten digits only: other drawings come back bent towards digits, and noise comes "
    "back smeared.",
    "denoise": "Knows one kind of noise, Gaussian of this factor, and handwritten digits only. Light noise it takes "
    "off at the price of fine detail; what is no digit comes back bent towards one.",
    "blind": "Knows strokes up to three times as wide as MNIST's: larger ones are to be scaled down first. A photo is "
    "to be divided by its paper before. Where noise is as strong as the ink, what it hides is guessed, and what is no "
    "digit may be bent towards one; the uncertainty tells.",
}


def write(recipe: Recipe, path: Path, clean: Pixels) -> None:
    """Writes the card of the model at `path` beside it, and its pictures of the first `clean` digits to `pictures/`."""
    metadata = {entry.key: entry.value for entry in onnx.load(path).metadata_props}
    pictures = path.parent / "pictures"
    pictures.mkdir(exist_ok=True)
    shown = clean[:DIGITS_PER_ROW]
    rows = (
        {"clean": shown, "noisy": score.add_noise(shown, recipe.scored_noise)}
        if recipe.scored_noise
        else {"original": shown}
    )
    restored, code = _run(path, list(rows.values())[-1])
    drawn = {f"{path.stem}-restored.png": grid({**rows, "restored": restored})}
    if recipe.noise is None:
        drawn[f"{path.stem}-kinds.png"] = grid(_kinds(path, shown))
    if code is not None and (side := math.isqrt(code[0].size)) ** 2 == code[0].size == code.shape[1]:
        drawn[f"{path.stem}-codes.png"] = grid({"original": shown, "code": _as_pictures(code, side)})
    for name, picture in drawn.items():
        picture.save(pictures / name)
    text = _text(recipe, metadata, list(drawn), len(clean))
    if recipe.noise is None:
        text += _blind_text(path, clean)
    path.with_suffix(".md").write_text(text, encoding="utf-8")


def compare(out: Path, clean: Pixels, factor: float) -> None:
    """The tutorial's last picture, `pictures/comparison.png`: every denoiser in `out` on the same noisy digits.

    Nothing is drawn for a run without noise, whose `factor` is 0, or while there is one denoiser only.
    """
    recipes = [recipe for recipe in RECIPES.values() if recipe.scored_noise and (out / f"{recipe.name}.onnx").exists()]
    if not factor or not recipes[1:]:
        return
    shown = clean[:DIGITS_PER_ROW]
    noisy = score.add_noise(shown, factor)
    rows = {"clean": shown, "noisy": noisy}
    for recipe in recipes:
        rows[recipe.name] = _run(out / f"{recipe.name}.onnx", noisy)[0]
    grid(rows).save(out / "pictures" / "comparison.png")


def grid(rows: dict[str, Pixels]) -> Image.Image:
    """Captioned rows of pictures, each `[count, height, width, 1]`, 0 … 1, drawn at one size."""
    cell = SIDE * ENLARGEMENT + GAP_PX
    count = max(len(pictures) for pictures in rows.values())
    sheet = Image.new("L", (CAPTION_PX + count * cell + GAP_PX, len(rows) * cell + GAP_PX), 255)
    draw = ImageDraw.Draw(sheet)
    font = ImageFont.load_default(14)
    for row, (caption, pictures) in enumerate(rows.items()):
        top = GAP_PX + row * cell
        draw.text((GAP_PX, top + cell // 2), caption, fill=0, font=font, anchor="lm")
        for column, picture in enumerate(pictures):
            image = Image.fromarray(np.rint(picture[..., 0] * 255).astype(np.uint8))
            size = (SIDE * ENLARGEMENT, SIDE * ENLARGEMENT)
            sheet.paste(image.resize(size, Image.Resampling.NEAREST), (CAPTION_PX + column * cell, top))
    return sheet


def _run(path: Path, digits: Pixels) -> tuple[Pixels, Pixels | None]:
    session = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])
    answers = session.run(None, {"image": digits})
    return answers[0], answers[1] if answers[1:] else None


def _kinds(path: Path, clean: Pixels) -> dict[str, Pixels]:
    """For every kind of noise a row of digits from its least to its most, and a row of what the model makes of them."""
    random = np.random.default_rng(score.NOISE_SEED)
    rows = {}
    for name, kind in noise.KINDS.items():
        levels = np.linspace(kind.least, kind.most, len(clean)).reshape(-1, 1, 1, 1)
        rows[name] = kind.spoil(clean, levels, random)
        rows[f"{name}, restored"] = _run(path, rows[name])[0]
    return rows


def _blind_text(path: Path, clean: Pixels) -> str:
    """What a blind model knows, and how well its uncertainty ranks its answers by their error."""
    random = np.random.default_rng(score.NOISE_SEED)
    lines = ["## The kinds of noise", "", "| kind | level | at its level |", "| --- | --- | --- |"]
    doubts, errors = [], []
    ranks = {}
    for name, kind in noise.KINDS.items():
        meaning = (kind.spoil.__doc__ or "").split("\n")[0]
        lines.append(f"| {name} | {kind.least} … {kind.most} | {meaning} |")
        for level in kind.levels:
            spoilt = kind.spoil(clean[:RANKED_DIGITS], level, random)
            answer = _run(path, spoilt)[0]
            doubts.append(score.doubt(spoilt, answer))
            errors.append(score.squared_error(clean[:RANKED_DIGITS], answer))
            ranks[name, level] = score.rank_correlation(doubts[-1], errors[-1])
    mixed = score.rank_correlation(np.concatenate(doubts), np.concatenate(errors))
    within = ranks["gaussian", TUTORIAL_NOISE]
    return "\n".join(
        [
            "",
            *lines,
            "",
            "## How sure it is",
            "",
            "Its uncertainty, the mean of `4·p·(1-p)·|p - seen|` over an answer's pixels p, ranks answers by their",
            f"true squared error with a rank correlation of {mixed:.2f} over all kinds and levels mixed, and of",
            f"{within:.2f} within Gaussian noise of factor {TUTORIAL_NOISE} ({RANKED_DIGITS} test digits per kind and "
            "level).",
            "",
        ]
    )


def _as_pictures(code: Pixels, side: int) -> Pixels:
    """Codes `[count, side · side]` as pictures, black at 0 and white at the largest value of all."""
    return code.reshape(-1, side, side, 1) / max(float(code.max()), 1e-9)


def _adam(recipe: Recipe) -> str:
    text = f"Adam at {recipe.learning_rate}"
    if recipe.last_learning_rate:
        text += f" falling to {recipe.last_learning_rate} along half a cosine"
        if recipe.cooldown is not None:
            text += f" of {recipe.cosine} epochs, and from epoch {recipe.cooldown} on along a line"
    return text + (f", weights averaged over steps by {recipe.averaging}" if recipe.averaging else "")


def _second(second: SecondRun, first: int) -> list[str]:
    """What a second run did after the `first` epochs."""
    return [
        f"- Then {second.epochs} more epochs from the averaged weights, Adam begun anew at {second.learning_rate} "
        "falling along half a cosine to the same last rate",
        f"- From epoch {first} on an epoch is {_pictures(second.blend)}",
        *_mixtures(f"From epoch {first} on, noise", second.blend),
    ]


def _blend(blend: Blend) -> list[str]:
    """A line for each kind of picture that a blind denoiser saw."""
    return [
        f"- An epoch is {_pictures(blend)}; what is easy to clean counts nearly as much as what is hard",
        *_mixtures("Noise", blend),
    ]


def _pictures(blend: Blend) -> str:
    return (
        f"{blend.parts} parts, each of {blend.digits:,} digits, {blend.pages:,} pages of digits of "
        f"{parts.SIDE_PX}×{parts.SIDE_PX} px, {blend.near:.0%} of them at about 1×, and {blend.photos:,} pieces of "
        "synthetic photos of the same size"
    )


def _mixtures(noise: str, blend: Blend) -> list[str]:
    return [
        f"- {noise} of {on}: {_mixture(mixture)}"
        for on, mixture in (("digits", blend.on_digits), ("pages", blend.on_pages))
    ]


def _mixture(mixture: Mixture) -> str:
    ways = ", ".join(
        f"{share:.0%} {f'{way} of the kinds below' if isinstance(way, int) else way}"
        for way, share in mixture.ways.items()
    )
    often = ", ".join(f"{kind} {weight:g} times" for kind, weight in mixture.weights.items())
    return f"{ways}; of the kinds {often} as often as others"


def _front_matter(name: str, scores: dict[str, float], count: int) -> list[str]:
    """What Hugging Face reads of a card: https://huggingface.co/docs/hub/model-cards#model-card-metadata."""
    return [
        "---",
        "license: mit",
        "library_name: onnx",
        "pipeline_tag: image-to-image",
        "tags: [denoising, handwriting, mnist, onnx]",
        "datasets: [ylecun/mnist]",
        f"metrics: [{', '.join(METRICS)}]",
        "model-index:",
        f"  - name: {name}",
        "    results:",
        "      - task: {type: image-to-image}",
        f"        dataset: {{type: ylecun/mnist, name: MNIST, split: test, args: {{pictures: {count}}}}}",
        "        metrics:",
        *(
            f'          - {{type: {key}, value: {scores[key]:{SCORES[key][1]}}, name: "{SCORES[key][0]}"}}'
            for key in METRICS
            if key in scores
        ),
        "---",
        "",
    ]


def _text(recipe: Recipe, metadata: dict[str, str], pictures: list[str], count: int) -> str:
    scores = json.loads(metadata["scores"])
    about = "blind" if recipe.noise is None else recipe.task
    lines = [
        *_front_matter(recipe.name, scores, count),
        f"# {recipe.name}",
        "",
        f"{metadata['title']}. {USES[about]}",
        "",
        *(f"![{name}](pictures/{name})\n" for name in pictures),
        "## How it was made",
        "",
        f"- By `python -m training` on {metadata['date']}, with the numbers below; "
        f"[the loss of each epoch]({recipe.name}.log)",
        f"- Trained on: {metadata['training_data']}, noise: {metadata['noise']}",
        f"- Network: {recipe.architecture.__name__}, hidden {recipe.hidden}",
        f"- Parameters: {int(metadata['parameters']):,}",
        *([f"- Begun with the weights of the file of {begun}"] if (begun := metadata.get("started_from")) else []),
        f"- Epochs: {recipe.epochs}, in batches of {recipe.batch}, {_adam(recipe)}, seed {recipe.seed}",
        *(_blend(recipe.blend) if recipe.blend else []),
        *(_mixtures(f"From epoch {recipe.cooldown} on, noise", recipe.last_blend) if recipe.last_blend else []),
        *(_second(recipe.second, recipe.epochs) if recipe.second else []),
        "",
        "## Scores",
        "",
        f"On the {count:,} MNIST test digits, the same noise for every model:",
        "",
        "| score | value |",
        "| --- | --- |",
        *(f"| {label} | {scores[key]:{form}} |" for key, (label, form) in SCORES.items() if key in scores),
        "",
        "## Limits",
        "",
        LIMITS[about],
        "",
    ]
    return "\n".join(lines)
