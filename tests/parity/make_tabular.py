"""Writes tabular.json: what PyOD's detectors, with their defaults, say of tables. The plugin
`tabular` is held to it.

    python3 -m venv venv
    venv/bin/pip install pyod==3.6.7 scikit-learn==1.9.1 numpy==2.4.6
    venv/bin/python make_tabular.py [DATA]

DATA is the folder that has `adbench_classical` and `anchors` (default: ../shared/data beside
the repository). Of its sets only digests and a few scores are written. Two generated tables
are written whole, so that a test without DATA has something to hold on to.

A set of more than 2500 rows is thinned to those at i * rows // 2500. A new row is the middle
between two neighbours, or as far beyond the first as the second is before it.
"""

import csv
import hashlib
import json
import os
import sys
import warnings
from pathlib import Path

os.environ["OMP_NUM_THREADS"] = "1"

import numpy as np
import pyod
import sklearn
from pyod.models.cblof import CBLOF
from pyod.models.copod import COPOD
from pyod.models.ecod import ECOD
from pyod.models.gmm import GMM
from pyod.models.hbos import HBOS
from pyod.models.iforest import IForest
from pyod.models.knn import KNN
from pyod.models.lof import LOF
from pyod.models.mad import MAD
from pyod.models.ocsvm import OCSVM
from pyod.models.pca import PCA
from sklearn.metrics import roc_auc_score

VERSIONS = {"pyod": "3.6.7", "scikit-learn": "1.9.1", "numpy": "2.4.6"}
DETERMINISTIC = {
    "ecod": ECOD,
    "copod": COPOD,
    "hbos": HBOS,
    "mad": MAD,
    "lof": LOF,
    "gmm": GMM,
    "knn": KNN,
    "ocsvm": OCSVM,
    "pca": PCA,
}
SEEDED = {"iforest": IForest, "cblof": CBLOF}
MOST_ROWS = 2500
# PCA divides by the share of the variance that an axis explains. A smaller one is rounding: PyOD
# answers with infinities, or with what a sum of rounding errors is divided by.
LEAST_SHARE = 1e-12
# Where one row has two neighbours that are equally far but for rounding, and the library for
# linear algebra decides which of them LOF counts: no sum over the rows is kept.
ROUNDED = {("lof", "41_Waveform")}


def thinned(x, y):
    n = len(x)
    keep = np.arange(MOST_ROWS) * n // MOST_ROWS if n > MOST_ROWS else np.arange(n)
    return np.ascontiguousarray(x[keep], dtype=np.float64), y[keep]


def spread(count, wanted):
    return sorted({i * count // wanted for i in range(wanted)})


def new_rows(x):
    """The middle of rows i and i + 1, and beyond row i, by turns."""
    picks = spread(len(x) - 1, 6)
    return [(x[i] + x[i + 1]) / 2 if turn % 2 == 0 else 2 * x[i] - x[i + 1] for turn, i in enumerate(picks)]


def finite(values):
    return [float(v) for v in values]


def deterministic(name, x, whole=False, table=None):
    x = x[:, :1] if name == "mad" else x
    model = DETERMINISTIC[name]()
    model.fit(x)
    if name == "pca" and model.detector_.explained_variance_ratio_.min() < LEAST_SHARE:
        return None
    scores = np.asarray(model.decision_scores_, dtype=float)
    fresh = new_rows(x)
    # One row a call: ECOD and COPOD rank a row among the others of its call, too.
    judged = [float(model.decision_function(row.reshape(1, -1))[0]) for row in fresh]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        probability = [float(model.predict_proba(row.reshape(1, -1), method="linear")[0, 1]) for row in fresh]
    rows = list(range(len(x)))
    said = {"index": rows if whole else spread(len(rows), 16)}
    if not whole:
        said["range"] = finite([scores.min(), scores.max()])
        total = float(scores.sum())
        said["sum"] = total if np.isfinite(total) and (name, table) not in ROUNDED else None
    said["score"] = finite(scores[said["index"]])
    said["new"] = judged
    said["probability"] = probability
    return said


def seeded(name, x, y):
    roc = []
    for seed in range(10):
        model = SEEDED[name](random_state=seed)
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                model.fit(x)
        except ValueError:
            # CBLOF could not tell large clusters from small ones.
            return None
        roc.append(round(float(roc_auc_score(y, model.decision_scores_)), 9))
    return roc


def generated():
    """Two tables: one smooth, one with ties, a constant column and copies of rows."""
    rng = np.random.default_rng(20260102)
    smooth = rng.normal(0, 1, (80, 4)) * [1, 10, 0.1, 5] + [0, 100, -3, 0]
    smooth[:, 3] = np.exp(smooth[:, 3] / 5)
    smooth[[7, 33]] += [4, -60, 1, 9]
    ties = rng.integers(0, 4, (60, 3)).astype(float)
    ties[:, 2] = 2.5
    ties[11] = [9, -3, 2.5]
    return {"smooth": smooth.round(4), "ties": ties}


def main():
    found = {"pyod": pyod.version.__version__, "scikit-learn": sklearn.__version__, "numpy": np.__version__}
    assert found == VERSIONS, f"install {VERSIONS}, found {found}"
    here = Path(__file__).resolve()
    data = Path(sys.argv[1]) if len(sys.argv) > 1 else here.parents[3] / "shared" / "data"
    with open(data / "anchors" / "adbench_pyod.csv") as file:
        anchored = {row["data"] for row in csv.DictReader(file)}
    lines = []
    for name, x in generated().items():
        said = {detector: deterministic(detector, x, whole=True) for detector in DETERMINISTIC}
        said = {detector: scores for detector, scores in said.items() if scores}
        lines.append(json.dumps({"name": name, "values": x.tolist(), "detectors": said}, allow_nan=False))
    for path in sorted((data / "adbench_classical").glob("*.npz")):
        if path.stem not in anchored:
            continue
        raw = np.load(path)
        x, y = thinned(raw["X"], raw["y"])
        said = {detector: deterministic(detector, x, table=path.stem) for detector in DETERMINISTIC}
        said = {detector: scores for detector, scores in said.items() if scores}
        said |= {detector: {"roc": seeded(detector, x, y)} for detector in SEEDED}
        digest = hashlib.sha256(path.read_bytes()).hexdigest()
        shape = {"name": path.stem, "sha256": digest, "rows": len(x), "features": x.shape[1]}
        lines.append(json.dumps(shape | {"detectors": said}, allow_nan=False))
        print(path.stem, x.shape, flush=True)
    out = here.with_name("tabular.json")
    out.write_text("[\n" + ",\n".join(lines) + "\n]\n")
    print(f"{out}: {len(lines)} tables, {out.stat().st_size} bytes")


if __name__ == "__main__":
    main()
