# SPDX-License-Identifier: MIT
# Copyright (c) The eTran artifact authors
"""Runs figures: sessions one after the other, resumable, every failure told with its command."""

from __future__ import annotations

import hashlib
import shutil
import time
from pathlib import Path

from experiments import extract, facts, registry, store, systems, timetable
from experiments.backends import Backend, settings_dict
from experiments.model import Figure, Scale
from harness import build, console, proc
from harness.errors import CommandFailed, UserError


def choose(ids: list[str], scale: Scale) -> list[Figure]:
    """What a call of `reproduce` runs. Figures that cannot run are an error only when named."""
    figures = registry.pick(ids)
    if ids:
        for figure in figures:
            if not registry.runnable(figure):
                waits = registry.describe(figure, scale)["pending"]
                raise UserError(f"{figure.id} cannot run yet: pending {', '.join(waits)}")
        return figures
    runnable = [f for f in figures if registry.runnable(f)]
    return [f for f in runnable if f.in_smoke] if scale == Scale.SMOKE else runnable


def reproduce(
    figures: list[Figure], scale: Scale, backend: Backend, seed: int, fresh: bool
) -> store.Run:
    """Run the figures; returns the run, whose meta says which of them failed."""
    backend.prepare()
    run = _open_run(figures, scale, backend, seed, fresh)
    with run.lock():
        todo = [f for f in figures if run.meta["figures"][f.id]["status"] != "done"]
        total = sum(registry.minutes(f, scale) for f in todo) * 60
        console.info(
            f"Run {run.name}: {len(todo)} of {len(figures)} figures to do,"
            f" about {console.duration(total)}"
        )
        for figure in todo:
            _figure(run, figure, scale, backend, seed)
        run.meta["status"] = (
            "failed"
            if any(s["status"] == "failed" for s in run.meta["figures"].values())
            else "done"
        )
        run.save()
    return run


def _identity(figures: list[Figure], scale: Scale, backend: Backend, seed: int) -> dict:
    """Two calls with the same identity do the same work, so the second may resume the first."""
    return {
        "figures_asked": [f.id for f in figures],
        "scale": scale.value,
        "seed": seed,
        "backend": backend.describe(),
        "git": facts.git(),
    }


def _open_run(
    figures: list[Figure], scale: Scale, backend: Backend, seed: int, fresh: bool
) -> store.Run:
    identity = _identity(figures, scale, backend, seed)
    for run in [] if fresh else store.runs()[:1]:
        status = run.meta.get("status")
        if status in ("running", "failed") and run.meta.get("identity") == identity:
            which = "interrupted" if status == "running" else "failed"
            console.info(f"Resuming the {which} run {run.name} (--fresh starts anew)")
            run.meta["status"] = "running"
            return run
    states = {}
    for figure in registry.figures().values():
        told = registry.describe(figure, scale)
        asked = figure in figures
        status = "waiting" if asked else "not run" if told["runnable"] else "pending"
        states[figure.id] = {
            "status": status,
            "title": figure.title,
            "systems": told["systems"],
            "pending": told["pending"],
            "notes": list(figure.notes),
            "error": None,
            "seconds": 0.0,
        }
    described = backend.describe()
    meta = {
        "created": time.strftime("%Y-%m-%dT%H:%M:%S%z"),
        "status": "running",
        "scale": scale.value,
        "seed": seed,
        "settings": settings_dict(figures[0].settings, backend),
        "machine": facts.machine(),
        "kernel": described.get("kernel"),
        "qemu": described.get("qemu"),
        "git": identity["git"],
        "identity": identity,
        "figures": states,
    }
    return store.Run.create(scale.value, meta)


def _figure(run: store.Run, figure: Figure, scale: Scale, backend: Backend, seed: int) -> None:
    state = run.meta["figures"][figure.id]
    began = time.monotonic()
    state.update(status="running", error=None)
    run.save()
    try:
        if figure.compute is not None:
            data = {**figure.compute(scale), "figure": figure.id, "version": store.VERSION}
            for row in data.get("rows", []):
                row["run"] = run.name
            store.write_json(run.figure_dir(figure.id) / "data.json", data)
        else:
            _sessions(run, figure, scale, backend, seed)
        state["status"] = "done"
    except UserError as error:
        state["status"] = "failed"
        state["error"] = _error(error)
        console.warn(f"{figure.id} failed: {error}")
    except OSError as error:
        mended = store.disk_error(error, Path(error.filename or run.directory))
        state["status"] = "failed"
        state["error"] = _error(mended)
        console.warn(f"{figure.id} failed: {mended}")
    finally:
        state["seconds"] = round(state["seconds"] + time.monotonic() - began, 1)
        run.save()


def _error(error: UserError) -> dict:
    told = {"message": error.what, "where": error.where, "hint": error.hint}
    if isinstance(error, CommandFailed):
        told.update(command=error.argv, exit_status=error.status, output=error.output[-4000:])
    return told


def _sessions(run: store.Run, figure: Figure, scale: Scale, backend: Backend, seed: int) -> None:
    """All repetitions, then data.json. A repetition whose folder exists was finished earlier."""
    nodes = figure.nodes[scale]
    cluster = backend.cluster(nodes)
    tested = systems.available(figure.systems)
    repetitions = figure.repetitions[scale]
    each = registry.minutes(figure, scale) * 60 / repetitions
    sessions, units = [], []
    for rep in range(repetitions):
        unit_seed = seed * 1000 + rep + 1
        plan = timetable.plan(figure, scale, tested, cluster, rep, unit_seed)
        directory = run.unit_dir(figure.id, rep)
        if not (directory / "unit.json").is_file():
            title = f"{figure.id} {figure.title}: repetition {rep + 1} of {repetitions}"
            with console.step(title, each):
                _unit(run, plan, figure, backend, directory)
        unit = store.read_json(directory / "unit.json")
        sessions.append(extract.session(plan, directory, unit["zero_ns"]))
        units.append({**unit, "nodes": _records(directory, nodes)})
    store.write_json(
        run.figure_dir(figure.id) / "record.json",
        {"version": store.VERSION, "figure": figure.id, "units": units},
    )
    store.write_json(
        run.figure_dir(figure.id) / "data.json",
        data_of(run, figure, scale, sessions, settings_dict(figure.settings, backend)),
    )


def _unit(
    run: store.Run, plan: timetable.Plan, figure: Figure, backend: Backend, directory: Path
) -> None:
    """One session into a temporary folder that gets its name only when everything is there."""
    working = directory.with_name(f".{directory.name}.tmp")
    failed = directory.with_name(f"{directory.name}.failed")
    for old in (working, failed):
        shutil.rmtree(old, ignore_errors=True)
    working.mkdir(parents=True)
    try:
        info = backend.run(plan, figure.settings, working)
        if figure.on_host is not None:
            _on_host(figure, plan.scale, working / "host")
        one = extract.session(plan, working, info["zero_ns"])
        store.write_json(
            working / "unit.json",
            {
                "version": store.VERSION,
                "repetition": plan.repetition,
                "seed": plan.seed,
                "sample_hash": one.sample_hash,
                **info,
            },
        )
    except UserError:
        working.rename(failed)  # kept for the user to look at
        raise
    except BaseException:
        shutil.rmtree(working, ignore_errors=True)
        raise
    working.rename(directory)


def _on_host(figure: Figure, scale: Scale, directory: Path) -> None:
    directory.mkdir()
    for argv in figure.on_host(scale, build.BIN):
        result = directory / f"{Path(argv[0]).name}.json"
        proc.run([*argv, "--json", result], log=directory / "commands.log", timeout=300)


def _records(directory: Path, nodes: int) -> list[dict]:
    return [
        store.read_json(path)
        for n in range(nodes)
        if (path := extract.node_dir(directory, n) / "agent.json").is_file()
    ]


def data_of(
    run: store.Run, figure: Figure, scale: Scale, sessions: list[extract.Session], settings: dict
) -> dict:
    """The contents of data.json."""
    from plots import paper

    rows = extract.rows(figure, sessions, paper.lookup)
    for row in rows:
        row["run"] = run.name
    windows = sorted({b.point.window.measure_ms * 1000 for b in sessions[0].plan.blocks})
    hashes = [s.sample_hash for s in sessions]
    return {
        "version": store.VERSION,
        "figure": figure.id,
        "title": figure.title,
        "family": figure.family,
        "x_label": figure.x_label,
        "x_unit": figure.x_unit,
        "log_x": figure.log_x,
        "notes": list(figure.notes),
        "settings": {
            **settings,
            "scale": scale.value,
            "nodes": figure.nodes[scale],
            "repetitions": len(sessions),
            "window_us": windows[0] if len(windows) == 1 else windows,
        },
        "sample_hash": hashlib.sha256("\n".join(hashes).encode()).hexdigest()[:16],
        "rows": rows,
        "series": list(figure.series(sessions[0])) if figure.series else [],
    }
