"""The 2021 record's classifiers in PyTorch Lightning, with Keras's semantics."""

import os

# albumentations asks the network for its newest version at import, unless this is set before.
os.environ.setdefault("NO_ALBUMENTATIONS_UPDATE", "1")

__version__ = "0.1.0"
