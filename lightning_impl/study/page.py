"""A study's page in Markdown: the log's findings, what was found here, and the numbers."""

from __future__ import annotations

import numpy as np

from lightning_impl.study.measures import best_accuracy
from lightning_impl.study.results import Results, rows_of
from lightning_impl.study.study_file import Claim, Experiment
from lightning_impl.study.verdicts import CONFIDENCE, FAILS, HOLDS, UNKNOWN, Verdict, together

HEAD = """\
# {title}

Made from `{name}.json` by `{command}`: do not edit it by hand.

{about}

| experiment | the log | here |
|---|---|---|
{overview}

## How it is judged

Each finding of the log is put as claims about a difference of two means over the seeds, each with a number
that the difference is to lie above or below. A claim **{holds}** where the whole {confidence:.0%} interval of
the difference (Welch) lies on its side of the number, **{fails}** where the whole interval lies on
the other side, and **{unknown}** where the number lies within. A finding holds if all of
its claims do, and does not hold if one of them does not. What "no better" or "large" means in numbers is
ours, not the log's. In the pictures a thin line is a seed, a thick one the mean of the seeds.

## Size, and what follows from it

{size}

- The interval knows the spread over start weights and batch orders alone. The seeds share their
  {validation} validation images: with others, an accuracy of {accuracy:.0%} would move by {error:.1%} (one
  standard error), the variants partly together.
- {seeds} seeds give wide intervals: much cannot be told, which is not the same as no effect.
- {claims} claims are judged one by one, each wrong by chance in up to one case of twenty.
"""


def page(results: Results, name: str) -> str:
    """The page.

    Args:
        results: Of every point.
        name: Of the data file and the pictures, which lie beside the page.
    """
    study = results.study
    verdicts = {
        each.name: [results.judge(each, claim) for claim in each.claims] for each in study.experiments
    }
    overview = [
        f"| [{each.title}](#{_anchor(each.title)}) | {each.log} | "
        f"{together([verdict.verdict for verdict in verdicts[each.name]])} |"
        for each in study.experiments
    ]
    validation = next(iter(results.runs.values()))["validation_images"]
    accuracy = float(np.median([best_accuracy(rows_of(run)) for run in results.runs.values()]))
    head = HEAD.format(
        title=study.title,
        name=name,
        command=results.made["command"],
        about=study.about,
        overview="\n".join(overview),
        holds=HOLDS,
        fails=FAILS,
        unknown=UNKNOWN,
        confidence=CONFIDENCE,
        size=_size(results),
        validation=validation,
        accuracy=accuracy,
        error=(accuracy * (1 - accuracy) / validation) ** 0.5,
        seeds=len(study.seeds),
        claims=sum(len(each.claims) for each in study.experiments),
    )
    lines = [head.rstrip(), *(f"- {limit}" for limit in study.limits), ""]
    for experiment in study.experiments:
        lines += _section(results, experiment, verdicts[experiment.name], name)
    return "\n".join(lines)


def shown(claim: Claim, *values: float) -> str:
    """Values of a claim's measure with their unit: a loss has none, accuracies are in points of a hundred."""
    if claim.measure in ("last_loss", "early_fall"):
        return " to ".join(f"{value:+.3f}" for value in values)
    return " to ".join(f"{100 * value:+.1f}" for value in values) + " points"


def picture_name(name: str, experiment: Experiment) -> str:
    """The file of an experiment's curves."""
    return f"{name}_{experiment.name}.png"


def _size(results: Results) -> str:
    some, base = next(iter(results.runs.values())), results.base
    data, model = base["data"], base["model"]
    height, width = data["image_size"]
    versions = ", ".join(f"{package} {version}" for package, version in results.made["versions"].items())
    made, seeds = results.made, len(results.study.seeds)
    return (
        f"Unless a variant says otherwise: {some['classes']} classes, {some['training_images']} images to\n"
        f"train on and {some['validation_images']} to validate ({data['stand_in_per_class']} drawn a class; "
        f"the log had 1,000), {height} × {width} pixels,\n"
        f"a net of {some['parameters']:,} parameters, {model['optimizer']} at {model['learning_rate']}, "
        f"batches of {data['batch_size']}, {len(some['epochs'])} epochs.\n"
        f"{len(results.runs)} fits in all, {seeds} seeds a variant. Made on {made['date']} with\n"
        f"`{results.study.module}`, {made['threads_per_fit']} thread a fit; {versions}."
    )


def _section(results: Results, experiment: Experiment, verdicts: list[Verdict], name: str) -> list[str]:
    lines = [f"## {experiment.title}", "", f"The log: {experiment.log}", ""]
    if experiment.note:
        lines += [experiment.note, ""]
    lines += [
        "| variant | best validation accuracy | of each seed | last validation loss | parameters |",
        "|---|---|---|---|---|",
    ]
    for label in experiment.variants:
        accuracies = results.values(experiment, label, "best_accuracy")
        losses = results.values(experiment, label, "last_loss")
        each = ", ".join(f"{accuracy:.1%}" for accuracy in accuracies)
        parameters = results.runs_of(experiment, label)[0]["parameters"]
        lines.append(
            f"| {label} | {np.mean(accuracies):.1%} ± {np.std(accuracies, ddof=1):.1%} | {each} | "
            f"{np.mean(losses):.3f} ± {np.std(losses, ddof=1):.3f} | {parameters:,} |"
        )
    lines += ["", "| claim | measure | difference | interval | to lie | |", "|---|---|---|---|---|---|"]
    for claim, verdict in zip(experiment.claims, verdicts, strict=True):
        side, limit = ("below", claim.below) if claim.above is None else ("above", claim.above)
        lines.append(
            f"| {claim.says} | `{claim.measure}`, {' less '.join(claim.difference)} | "
            f"{shown(claim, verdict.difference)} | {shown(claim, verdict.low, verdict.high)} | "
            f"{side} {shown(claim, limit or 0.0)} | **{verdict.verdict}** |"
        )
    return [*lines, "", f"![curves]({picture_name(name, experiment)})", ""]


def _anchor(title: str) -> str:
    words = title.lower().replace(" ", "-")
    return "".join(letter for letter in words if letter.isalnum() or letter == "-")
