"""What Anomstack's pipeline takes for a fleet of series, re-stated on PyOD.

    python3 pyod_pipeline.py FOLDER

Per series, from what Anomstack documents: one difference, a trailing mean of 3, five lags, a
shuffle, a fit of PyOD's PCA and KNN with their defaults to the newest 2500 points; a run of
the score job takes the newest 25 points and scores what features they give. One thread.
Imports, and reading the files, are not counted. Prints one object of JSON.
"""

import json
import os
import resource
import sys
import time
from pathlib import Path

for threads in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "NUMBA_NUM_THREADS"):
    os.environ[threads] = "1"

import pandas as pd
from pyod.models.knn import KNN
from pyod.models.pca import PCA

TAIL = 60
SCORE_MAX_N = 25


def features(values, shuffle=False):
    frame = pd.DataFrame({"metric_value": values})
    frame["metric_value"] = frame["metric_value"].diff(periods=1)
    frame["metric_value"] = frame["metric_value"].rolling(window=3).mean()
    for lag in range(1, 6):
        frame[f"lag_{lag}"] = frame["metric_value"].shift(lag)
    if shuffle:
        frame = frame.sample(frac=1, random_state=42)
    return frame.dropna()


def fit(values):
    rows = features(values, shuffle=True)
    return [model().fit(rows) for model in (PCA, KNN)]


def score(models, values):
    rows = features(values)
    return sum(model.predict_proba(rows)[:, 1] for model in models) / len(models)


def timed(work, items):
    begun = time.process_time()
    results = [work(item) for item in items]
    return results, (time.process_time() - begun) / len(items)


def main():
    series = [pd.read_csv(path)["value"] for path in sorted(Path(sys.argv[1]).glob("*.csv"))]
    # One of each first, for what is done once a process.
    score(fit(series[0][:-TAIL]), series[0][-TAIL - 8 :])
    models, fit_s = timed(lambda values: fit(values[:-TAIL]), series)
    scored, tail_s = timed(lambda pair: score(pair[0], pair[1][-TAIL - 8 :]), list(zip(models, series)))
    _, run_s = timed(lambda pair: score(pair[0], pair[1][-SCORE_MAX_N:]), list(zip(models, series)))
    report = {
        "fit_ms": fit_s * 1e3,
        "tail_us": tail_s * 1e6 / TAIL,
        "run_us": run_s * 1e6,
        "peak_memory_bytes": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024,
        "scores": [row.tolist() for row in scored],
    }
    json.dump(report, sys.stdout)


if __name__ == "__main__":
    main()
