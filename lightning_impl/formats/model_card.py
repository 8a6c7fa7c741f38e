"""The README.md beside an exported file."""

from __future__ import annotations

import json
from pathlib import Path

from lightning_impl.trained import Trained
from parity_common.run_folder import RunFolder

USAGE = {
    "safetensors": """\
from pathlib import Path

from lightning_impl.formats.safetensors_file import open_file

probabilities = open_file(Path("model.safetensors"))(images)""",
    "torch-export": """\
import torch

probabilities = torch.export.load("model.pt2").module()(torch.from_numpy(images))""",
    "onnx": """\
import onnxruntime

session = onnxruntime.InferenceSession("model.onnx", providers=["CPUExecutionProvider"])
(probabilities,) = session.run(["probabilities"], {"images": images})""",
}

# Those of a file's metadata that tell where it comes from.
ORIGIN = ("hyperparameters", "epoch", "checkpoint_sha256", "versions")


def model_card(
    trained: Trained, metadata: dict[str, str], format_name: str, run: Path | None, checked: str
) -> str:
    """The page's text.

    Args:
        trained: The opened checkpoint.
        metadata: What `describe` gives.
        format_name: A key of `FORMATS`.
        run: The run folder the checkpoint lay in, for its figures; or None.
        checked: How the file was held against the checkpoint, in words.
    """
    parameters = trained.hyperparameters
    height, width = parameters["image_size"]
    values = sum(parameter.numel() for parameter in trained.classifier.parameters())
    return f"""\
# {parameters["arch"]}, {len(trained.classifier.class_names)} classes, {height} x {width} pixels

An image classifier, trained by keras-lightning-parity with Keras's rules (profile {parameters["profile"]}),
{values:,} parameters.

{checked}

## Input and output

- {metadata["input"]}
- {metadata["output"]}
- {metadata["preprocessing"]}

```python
import numpy as np
from PIL import Image

with Image.open("photo.jpg") as image:
    pixels = np.asarray(image.convert("RGB").resize(({width}, {height}), Image.Resampling.NEAREST))
images = pixels[None]

{USAGE[format_name]}
```

## Figures

{_figures(trained, run)}

## Classes, in the order of the output

~~~json
{json.dumps(trained.classifier.class_names, indent=1)}
~~~

## Where it comes from

~~~json
{json.dumps({name: _value(metadata[name]) for name in ORIGIN}, indent=1)}
~~~
"""


def _value(text: str) -> object:
    try:
        return json.loads(text)
    except ValueError:
        return text


def _figures(trained: Trained, run: Path | None) -> str:
    if run is None:
        return "Not known: the checkpoint lay in no run folder."
    rows = [row for row in RunFolder(run).read_metrics() if row["epoch"] == trained.epochs - 1]
    if not rows or rows[0]["val_accuracy"] is None:
        return "Not known: the run has no validation of this epoch."
    row = rows[0]
    return (
        f"After epoch {trained.epochs}: validation accuracy {row['val_accuracy']:.2%}, validation loss "
        f"{row['val_loss']:.4f}, training accuracy {row['accuracy']:.2%}. `config.yaml` is the run's config."
    )
