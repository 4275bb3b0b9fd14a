"""What the library imports at once: the compiler and torchvision take longer than torch itself."""

import subprocess
import sys
from pathlib import Path

LIBRARY = Path(__file__).resolve().parents[2] / "resnet_lib"
SLOW = ("torchvision", "torch._dynamo", "sklearn", "transformers", "tensorboard")


def test_no_slow_package_is_imported_before_it_is_used():
    parts = sorted(path.stem for path in LIBRARY.iterdir() if path.suffix in ("", ".py"))
    parts = [part for part in parts if not part.startswith("_")]
    assert "weights" in parts
    asked = "; ".join(f"import resnet_lib.{part}" for part in parts)
    words = f"{asked}; import sys; print([name for name in {SLOW} if name in sys.modules])"
    found = subprocess.run([sys.executable, "-c", words], capture_output=True, text=True)
    assert found.stdout.strip() == "[]", found.stdout + found.stderr
