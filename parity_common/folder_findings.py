"""Every kind of finding there is: how grave it is, and what to do about it.

An error stops a training, spoils its labels or its validation; a warning changes what the net sees without
a word; a note is worth knowing.
"""

from __future__ import annotations

from dataclasses import dataclass

SEVERITIES = ("error", "warning", "note")


@dataclass(frozen=True)
class Kind:
    """One kind.

    Attributes:
        severity: One of `SEVERITIES`.
        title: Stands before the count.
        remedy: What it does and what to do, in one line.
    """

    severity: str
    title: str
    remedy: str


@dataclass(frozen=True)
class Finding:
    """One fault.

    Attributes:
        kind: A key of `KINDS`.
        paths: Below the audited folder, the first one first in Keras's order.
        detail: What is particular to it, or an empty text.
    """

    kind: str
    paths: tuple[str, ...]
    detail: str = ""


# Grave ones first: the order of the report.
KINDS = {
    "too_deep": Kind(
        "error", "one level too deep", "these count as the classes: give the folder that holds the real ones"
    ),
    "one_class": Kind("error", "one class only", "a classifier needs two class folders or more"),
    "stray_class": Kind(
        "error", "stray folder", "remove it: Keras counts it as a class, and every label after it moves"
    ),
    "empty_class": Kind(
        "error", "class without images", "add images or remove the folder, which Keras counts as a class"
    ),
    "nothing_validates": Kind(
        "error", "no validation image at all", "add images or raise the validation split"
    ),
    "unreadable": Kind("error", "not an image", "replace or remove it: training stops at it"),
    "damaged": Kind("error", "damaged or cut off", "replace or remove it: training stops at it"),
    "bomb": Kind(
        "error", "claims more than 100 megapixels", "shrink or remove it: it is refused; nothing was decoded"
    ),
    "leak": Kind(
        "error",
        "same file in training and validation",
        "keep one of them: the net is tested on what it was taught",
    ),
    "no_validation": Kind(
        "warning",
        "class without a validation image",
        "add images or raise the validation split: its accuracy stays unknown",
    ),
    "duplicate": Kind("warning", "same file more than once", "keep one of them: it counts double"),
    "stray_images": Kind(
        "warning", "stray folder within a class", "remove it: Keras counts its images as the class's"
    ),
    "subfolders": Kind(
        "warning",
        "class with images in subfolders only",
        "Keras counts them as this class's: if the subfolders are the classes, move them up",
    ),
    "linked_folder": Kind(
        "warning", "link to a folder within a class", "Keras does not follow it: move the images into place"
    ),
    "loose": Kind("warning", "image beside the class folders", "move it into its class: it is not read"),
    "skipped": Kind(
        "warning",
        "picture that Keras skips for its suffix",
        "convert it to PNG or JPEG, or remove it: it is not read",
    ),
    "rotated": Kind(
        "warning",
        "EXIF rotation",
        "Keras does not apply it, the net sees it turned: turn the pixels themselves",
    ),
    "deep_values": Kind(
        "warning",
        "more than 8 bits a pixel",
        "Keras cuts the values to whole numbers of 0–255, 16 bits turn white: scale them to 8 bits yourself",
    ),
    "other_colours": Kind(
        "warning",
        "not RGB or grey",
        "Keras converts by a fixed formula, without the colour profile: convert it to RGB yourself",
    ),
    "transparent": Kind(
        "warning",
        "transparency",
        "Keras drops it, and the colours hidden below show: blend it onto a background yourself",
    ),
    "few": Kind(
        "note",
        "class with far fewer images than the largest",
        "accuracy hides it: balance the classes, weight them, or read the confusion matrix",
    ),
    "small": Kind(
        "note", "smaller than the image size", "it is enlarged by repeating pixels: lower the image size"
    ),
    "other_file": Kind("note", "other file", "it is not read"),
}
