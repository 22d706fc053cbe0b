"""A plan as a table and as JSON."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

from posetalk.plan.memory import GB
from posetalk.plan.run import JobPlan, RunPlan

_ROWS = {
    "weights": "weights",
    "gradients": "gradients",
    "optimizer": "optimizer",
    "activations": "activations",
    "logits": "logits",
    "kv_cache": "KV cache",
    "allowance": "allowance",
}


def rows_of(plan: RunPlan) -> list[list[str]]:
    """The table, its head first: a column for each job. Memory is in GB of 2^30 bytes on each GPU."""
    jobs = plan.jobs
    rows = [["", *(job.job for job in jobs)]]
    rows.append(["parameters", *(f"{job.parameters / 1e6:,.1f} M" for job in jobs)])
    rows.append(["trained", *(f"{job.trained / 1e6:,.1f} M" for job in jobs)])
    rows.append(["at a time on a GPU", *(str(job.at_once) for job in jobs)])
    rows += [
        [f"{name}, GB", *(f"{getattr(job.memory, key) / GB:,.2f}" for job in jobs)]
        for key, name in _ROWS.items()
    ]
    rows.append(["total, GB", *(f"{job.memory.total / GB:,.2f}" for job in jobs)])
    rows.append([f"fits {jobs[0].limit / GB:g} GB", *("yes" if job.fits else "no" for job in jobs)])
    rows.append(["step, TFLOP", *(f"{job.step_flops / 1e12:,.1f}" for job in jobs)])
    rows.append(["people or samples", *(f"{job.examples:,}" for job in jobs)])
    rows.append(["run, PFLOP", *(f"{job.run_flops / 1e15:,.0f}" for job in jobs)])
    rows.append(["time", *(_time(job) for job in jobs)])
    return rows


def _time(job: JobPlan) -> str:
    hours = 24 * job.days
    return (
        f"{job.days:.1f} days" if hours > 48 else f"{hours:.1f} h" if hours > 1 else f"{60 * hours:.1f} min"
    )


def sentences(plan: RunPlan) -> list[str]:
    """What stands below the table: the assumptions, and what does not fit."""
    wording = [
        f"Counted, not run: {plan.gpus} GPU{'s' * (plan.gpus > 1)} at {plan.tflops:.1f} TFLOP/s each; a row has up to "
        f"{plan.tokens:,} tokens."
    ]
    for job in plan.jobs:
        if not job.fits:
            changes = " and ".join(f"{key} = {_toml(value)}" for key, value in job.fits_with.items())
            wording.append(
                f"{job.job} does not fit: {job.memory.total / GB:,.1f} GB of {job.limit / GB:g}; "
                + (f"{changes} makes it fit." if changes else "no setting that was tried makes it fit.")
            )
    return wording


def _toml(value: Any) -> str:
    return f'"{value}"' if isinstance(value, str) else str(value).lower()


def as_json(plan: RunPlan) -> dict[str, Any]:
    """Every number, bytes as bytes."""
    row = asdict(plan)
    for job, made in zip(plan.jobs, row["jobs"], strict=True):
        made["memory"]["total"], made["fits"] = job.memory.total, job.fits
    return row
