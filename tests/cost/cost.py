"""What detection costs here, as multiples of Anomstack's pipeline on PyOD and of native code.

    python3 cost.py ANOMD NATIVE [FOLDER]        (`make cost` does it)

ANOMD is the program, NATIVE the example `native` of plugins/robust, FOLDER where the series and
PyOD's virtual environment are kept (default: target/cost). 200 series of 2500 points to learn
from and 60 to score, on one core each; CPU time, user and system; peak memory is that of the
whole process. The ratios are of one run on one machine, which may be busy.
"""

import json
import os
import random
import subprocess
import sys
import venv
from math import pi, sin
from pathlib import Path

HERE = Path(__file__).resolve().parent
PACKAGES = ["pyod==3.6.7", "scikit-learn==1.9.1", "numpy==2.4.6", "pandas==2.3.3"]
SERIES, POINTS, TAIL = 200, 2500, 60
# Anomstack's crons, in minutes: `*/5` to train, `*/4` to score; a point a minute.
TRAIN_EVERY, SCORE_EVERY = 5, 4


def write_series(folder):
    folder.mkdir(parents=True, exist_ok=True)
    for number in range(SERIES):
        draw = random.Random(number)
        level, lines = 100.0, ["value,label"]
        for minute in range(POINTS + TAIL):
            level += draw.gauss(0, 0.02)
            value = level + 20 * sin(2 * pi * minute / 1440) + draw.gauss(0, 3)
            lines.append(f"{value:.6f},0")
        (folder / f"series_{number:03}.csv").write_text("\n".join(lines) + "\n")


def pyod(folder, series):
    python = folder / "venv" / "bin" / "python"
    if not python.exists():
        venv.create(folder / "venv", with_pip=True)
    subprocess.run([python, "-m", "pip", "install", "--quiet", *PACKAGES], check=True)
    return answer([python, "-W", "ignore", HERE / "pyod_pipeline.py", series])


def answer(command):
    done = subprocess.run([str(part) for part in command], stdout=subprocess.PIPE, check=True)
    return json.loads(done.stdout)


def anomd(program, series, detector):
    data = Path(series).parent
    return answer([program, "--data", data, "bench", "--fleet", series, "--detector", detector])


def total(said, figure):
    return sum(member[figure] for member in said["members"])


def a_point(said, refit):
    """Microseconds a new point with all its fits; of a detector that leaves them to the batch,
    every `refit` points."""
    return sum(m["tick_us"] + m["fit_ms"] * 1e3 / (m["refit"] or refit) for m in said["members"])


def number(value):
    return f"{value:.3g}" if value < 1000 else f"{value:,.0f}".replace(",", " ")


def main():
    program, native = (Path(argument).resolve() for argument in sys.argv[1:3])
    folder = Path(sys.argv[3] if len(sys.argv) > 3 else "target/cost").resolve()
    series = folder / "series"
    write_series(series)
    # The compiler of components is none of a node's second start.
    subprocess.run([program, "--data", folder, "plugin", "list"], stdout=subprocess.DEVNULL, check=True)
    # One core, and so one thread for guests.
    os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})
    theirs = pyod(folder, series)
    same = anomd(program, series, "pca+knn")
    default = anomd(program, series, "robust")
    apart = max(abs(a - b) for ours, rows in zip(same["scores"], theirs["scores"]) for a, b in zip(ours, rows))
    rows = []

    def row(what, ours, other, unit, least):
        ratio = other / ours
        budget = "" if least is None else f"at least {least} ×" + ("" if ratio >= least else ": missed")
        rows.append([what, f"{number(ours)} {unit}", f"{number(other)} {unit}", f"{number(ratio)} ×", budget])

    row("`pca` + `knn`: a fit to 2 500 points", total(same, "fit_ms"), theirs["fit_ms"], "ms", None)
    row("`pca` + `knn`: 60 points in one call, each", total(same, "tail_us"), theirs["tail_us"], "µs", None)
    work = lambda fit_ms, tail_us: fit_ms + tail_us * TAIL / 1e3
    row(
        "`pca` + `knn`: fit and 60 points, equal scores",
        work(total(same, "fit_ms"), total(same, "tail_us")),
        work(theirs["fit_ms"], theirs["tail_us"]),
        "ms",
        3,
    )
    point = theirs["fit_ms"] * 1e3 / TRAIN_EVERY + theirs["run_us"] / SCORE_EVERY
    row("`pca` + `knn`: a new point, refit every 5", a_point(same, TRAIN_EVERY), point, "µs", None)
    row("`robust`: a new point, with its own refits", a_point(default, 1), point, "µs", 10)
    try:
        row("`light`: a new point, with its own refits", a_point(anomd(program, series, "light"), 1), point, "µs", 1000)
    except subprocess.CalledProcessError:
        rows.append(["`light`: a new point", "no such plugin", "", "", "at least 1000 ×"])
    for name, said in (("pca` + `knn", same), ("robust", default)):
        megabytes = [said["peak_memory_bytes"] / 2**20, theirs["peak_memory_bytes"] / 2**20]
        row(f"`{name}`: peak memory of the process", *megabytes, "MB", 2)

    print("| what | anomd | Anomstack's pipeline on PyOD | ratio | promised |\n|---|---|---|---|---|")
    for cells in rows:
        print("| " + " | ".join(cells) + " |")
    print(f"\nThe scores of `pca` + `knn` differ by at most {apart:.1e}.", end=" ")
    refits = ", ".join(f"{m['plugin']} every {m['refit']} points" for m in default["members"])
    print(f"Refits: {refits}; Anomstack trains every {TRAIN_EVERY} minutes and scores every {SCORE_EVERY}.")
    if not same["optimised"]:
        print("anomd itself was compiled without optimisation.")

    figures = answer([program, "--data", folder, "--json", "bench", "--only", "sandbox", "--native", native])["figures"]
    print("\n| in the sandbox | CPU | the same code native, default flags | promised |\n|---|---|---|---|")
    for name in ("detector_fit", "detector_score"):
        figure = figures[name]
        over = "" if figure["within_budget"] else ": over"
        value = f"{number(figure['value'])} {figure['unit']}"
        print(f"| {figure['what']} | {value} | {figure['ratio']:.2f} × | ≤ {figure['budget']['most']} ×{over} |")
    if apart > 1e-6:
        sys.exit("the scores are not equal")


if __name__ == "__main__":
    os.environ["OMP_NUM_THREADS"] = "1"
    main()
