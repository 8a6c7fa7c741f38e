"""What a study leaves once all of its points have finished: data file, page, pictures, and a table."""

from __future__ import annotations

from pathlib import Path

from rich.console import Console
from rich.table import Table

from lightning_impl.report.draw import save_figure
from lightning_impl.study.page import page, picture_name, shown
from lightning_impl.study.pictures import draw_experiment
from lightning_impl.study.results import collect, write_results
from lightning_impl.study.study_file import Study
from lightning_impl.study.verdicts import CONFIDENCE, together
from parity_common.run_folder import write_text_atomically


def close_study(study: Study, name: str, out: Path, report: Path, threads: int) -> None:
    """Writes `report/NAME.json`, `.md` and a picture an experiment, and prints the verdicts.

    Args:
        study: Whose points have all finished.
        name: The study's.
        out: Where the points' folders lie.
        report: A folder that exists.
        threads: Of each fit.
    """
    results = collect(study, out, threads, f"python -m lightning_impl.study --config {name}")
    table = Table(
        "the log's finding, and our claims", "difference", f"{CONFIDENCE:.0%} interval", "", title=name
    )
    for experiment in study.experiments:
        verdicts = [results.judge(experiment, claim) for claim in experiment.claims]
        table.add_section()
        table.add_row(
            experiment.log, "", "", together([verdict.verdict for verdict in verdicts]), style="bold"
        )
        for claim, verdict in zip(experiment.claims, verdicts, strict=True):
            interval = shown(claim, verdict.low, verdict.high)
            table.add_row(f"  {claim.says}", shown(claim, verdict.difference), interval, verdict.verdict)
    write_results(results, report / f"{name}.json")
    write_text_atomically(report / f"{name}.md", page(results, name))
    for experiment in study.experiments:
        save_figure(draw_experiment(results, experiment), report / picture_name(name, experiment))
    Console().print(table)
    print(f"the numbers: {report / name}.md, its data: {report / name}.json")
