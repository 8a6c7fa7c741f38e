"""Rung 8: the data, from class order and split over decoding and augmentation to the order of batches."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from parity_common.command_errors import UserError
from porting.case import RungResult, from_comparisons
from porting.comparison import Comparison, compare, compare_array
from porting.data_port import DataPort
from porting.data_trace import DataTrace
from porting.tolerances import AUGMENTATION, STANDARDISING, TOLERANCES, WHOLE_LEVELS, WHOLE_LEVELS_SHARE

# Of the two-sample Kolmogorov-Smirnov test, for each parameter: a right port fails one of ten parameters once
# in a thousand seeds, and the seed is fixed.
SIGNIFICANCE = 1e-4
# Two of 10,000 independent draws correlate by less, but once in a million.
LARGEST_CORRELATION = 0.05


def data(trace: DataTrace, port: DataPort, root: Path) -> RungResult:
    """Holds a port's data path against what Keras did with the same folder.

    Args:
        trace: What Keras did.
        port: The data path.
        root: The image folder.

    Raises:
        UserError: The folder is no good.
    """
    comparisons = _index(trace, port, root)
    if all(each.holds for each in comparisons):
        comparisons += _decoding(trace, port, root)
    comparisons += _augmentation(trace, port)
    comparisons += _distributions(trace, port)
    images = trace.array("decoded")
    comparisons.append(
        compare_array(
            "standardising",
            port.standardise(images, images),
            trace.array("standardised"),
            TOLERANCES[STANDARDISING, "float32"].residual,
        )
    )
    count = len(trace.files["training"])
    orders = trace.names("order/")
    ours = {f"batch order, epoch {epoch}": port.order(int(epoch), count) for epoch in orders}
    theirs = {f"batch order, epoch {epoch}": trace.array(f"order/{epoch}") for epoch in orders}
    comparisons += compare(ours, theirs, 0.0)
    files = sum(map(len, trace.files.values()))
    said = f"{len(trace.classes)} classes, {files} files, {len(trace.parameters)} augmented, "
    return from_comparisons("data", said + f"{len(trace.names('drawn/'))} distributions", comparisons)


def _index(trace: DataTrace, port: DataPort, root: Path) -> list[Comparison]:
    index = port.index(root)
    names = [name.replace("\\", "/") for name in index.files]
    comparisons = [_listed("class order", list(index.class_names), trace.classes)]
    for part, validation in (("training", False), ("validation", True)):
        places = index.places(validation=validation)
        comparisons.append(_listed(f"{part} files", [names[place] for place in places], trace.files[part]))
        labels = np.asarray([index.labels[place] for place in places], np.int64)
        comparisons.append(compare_array(f"{part} labels", labels, trace.array(f"labels/{part}"), 0.0))
    return comparisons


def _listed(name: str, ours: list[str], theirs: list[str]) -> Comparison:
    if ours == theirs:
        return Comparison(name, 0.0, 0.0)
    for place, (mine, keras) in enumerate(zip(ours, theirs, strict=False)):
        if mine != keras:
            return Comparison(name, 0.0, fault=f"number {place} is {mine}, Keras has {keras}")
    return Comparison(name, 0.0, fault=f"{len(ours)} of them, Keras has {len(theirs)}")


def _decoding(trace: DataTrace, port: DataPort, root: Path) -> list[Comparison]:
    missing = [name for name in trace.sample if not (root / name).is_file()]
    if missing:
        raise UserError(f"{root} lacks {missing[0]}, which the trace was recorded with")
    ours = np.stack([port.decode(root / name) for name in trace.sample])
    return [compare_array("decoding and resizing", ours, trace.array("decoded"), 0.0)]


def _augmentation(trace: DataTrace, port: DataPort) -> list[Comparison]:
    """Pixels with Keras's own parameters; with brightness, which cuts to whole levels, two figures."""
    images, theirs = trace.array("decoded"), trace.array("augmented")
    repeated = images[np.arange(len(theirs)) % len(images)]
    ours = port.augment(repeated, trace.parameters)
    cuts = trace.parameters[0]["brightness"] is not None
    tolerance = TOLERANCES[WHOLE_LEVELS if cuts else AUGMENTATION, "float32"].residual
    comparisons = [compare_array("augmentation", ours, theirs, tolerance, scale=255.0)]
    if cuts and ours.shape == theirs.shape:
        apart = np.asarray([(np.abs(ours - theirs) >= 0.5).mean()])
        share = TOLERANCES[WHOLE_LEVELS_SHARE, "float32"].residual
        comparisons.append(compare_array("augmentation, share apart", apart, np.zeros(1), share, scale=1.0))
    return comparisons


def _distributions(trace: DataTrace, port: DataPort) -> list[Comparison]:
    theirs = {name: trace.array(f"drawn/{name}") for name in trace.names("drawn/")}
    varying = {name: values for name, values in theirs.items() if len(np.unique(values)) > 1}
    count = len(next(iter(theirs.values())))
    ours = {name: values for name, values in port.draw(count).items() if len(np.unique(values)) > 1}
    comparisons = []
    for name, values in varying.items():
        if name not in ours:
            comparisons.append(Comparison(f"distribution of {name}", 0.0, fault="the port does not vary it"))
            continue
        distance = ks_distance(ours[name], values)
        comparisons.append(
            _figure(f"distribution of {name}", distance, ks_critical(count, count, SIGNIFICANCE))
        )
    for name in ours.keys() - varying.keys():
        comparisons.append(Comparison(f"distribution of {name}", 0.0, fault="Keras does not vary it"))
    names = sorted(ours.keys() & varying.keys())
    for place, one in enumerate(names):
        for other in names[place + 1 :]:
            together = abs(float(np.corrcoef(ours[one], ours[other])[0, 1]))
            comparisons.append(_figure(f"{one} independent of {other}", together, LARGEST_CORRELATION))
    return comparisons


def _figure(name: str, figure: float, largest: float) -> Comparison:
    fault = "" if figure <= largest else f"{figure:.3g} over {largest:.3g}"
    return Comparison(name, largest, figure, fault)


def ks_distance(ours: NDArray[np.float64], theirs: NDArray[np.float64]) -> float:
    """The largest distance of two samples' distribution functions."""
    every = np.sort(np.concatenate([ours, theirs]))
    sides = [np.searchsorted(np.sort(values), every, side="right") / len(values) for values in (ours, theirs)]
    return float(np.abs(sides[0] - sides[1]).max())


def ks_critical(first: int, second: int, significance: float) -> float:
    """What that distance exceeds with probability `significance`, for large samples (Smirnov 1939)."""
    return math.sqrt(-math.log(significance / 2) / 2 * (first + second) / (first * second))
