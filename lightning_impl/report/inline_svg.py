"""A matplotlib figure as SVG within a page, in the page's colours."""

from __future__ import annotations

import io
import re

from markupsafe import Markup
from matplotlib import rc_context
from matplotlib.colors import to_hex
from matplotlib.figure import Figure

# As many as matplotlib's cycle C0, C1 ... has; the page's style gives each a light and a dark value.
SERIES = 10
# The date among it: a page made again is the same.
NO_METADATA = dict.fromkeys(("Creator", "Date", "Format", "Type"))


def inline_svg(figure: Figure, name: str) -> Markup:
    """The `<svg>` element of a figure.

    Text stays text, so that it is read aloud and small. Black becomes the page's text colour, colour Cn
    `var(--series-n)`; nothing is filled behind them.

    Args:
        figure: In matplotlib's default colours.
        name: Tells one figure's references from another's within a page.
    """
    written = io.StringIO()
    # With a salt of its own a figure is drawn alike each time.
    with rc_context({"svg.fonttype": "none", "svg.hashsalt": name}):
        figure.savefig(written, format="svg", transparent=True, metadata=NO_METADATA)
    text = written.getvalue()
    text = text[text.index("<svg") :]
    text = re.sub(r'\s*<style type="text/css">.*?</style>', "", text, flags=re.DOTALL)
    # Group names such as figure_1 would be there once for each figure; references have no underscore.
    text = re.sub(r' id="[\w.]*_\d+"', "", text)
    text = re.sub(r"font-family: [^;\"]*; ?", "", text)
    # The page decides how wide it is.
    text = re.sub(r'(<svg[^>]*?) width="[^"]*" height="[^"]*"', r"\1", text, count=1)
    for number in range(SERIES):
        text = text.replace(f": {to_hex(f'C{number}')}", f": var(--series-{number})")
    return Markup(text.replace(": #000000", ": currentColor"))
