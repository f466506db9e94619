"""Every figure in the documentation is printed by a script here: of serving, of quality, of what load does."""

from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
DIGIT = ROOT / "tests" / "digits" / "noisy_7.png"
PAGE = ROOT / "tests" / "digits" / "noisy_page.png"
TEST_DIGITS = ROOT / "tests" / "mnist" / "t10k-images-idx3-ubyte.gz"  # No model was trained on these digits.
