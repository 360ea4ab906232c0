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
from sklearn.metrics import roc_auc_score
from sklearn.neighbors import NearestNeighbors

VERSIONS = {"pyod": "3.6.7", "scikit-learn": "1.9.1", "numpy": "2.4.6"}
DETERMINISTIC = {"ecod": ECOD, "copod": COPOD, "hbos": HBOS, "mad": MAD, "lof": LOF, "gmm": GMM, "knn": KNN}
SEEDED = {"iforest": IForest, "cblof": CBLOF}
MOST_ROWS = 2500
# How close two distances count as one: the brute-force search of scikit-learn, used above 15
# features, knows squares of distances to about 1e-16 of the squares of the rows' lengths.
TIE = 1e-7
LOF_NEIGHBORS = 20


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


def clear(x, queries=None):
    """Rows whose LOF does not hang on which of several equally far rows is taken for the
    k-th neighbour: neither its own, nor that of a neighbour. There scikit-learn's answer
    depends on the order of its search."""
    k = min(LOF_NEIGHBORS, len(x) - 1)
    if k + 1 > len(x) - 1:
        return np.zeros(len(x) if queries is None else len(queries), dtype=bool)
    search = NearestNeighbors(n_neighbors=k + 1, algorithm="kd_tree").fit(x)

    def plain(distances):
        gap = distances[:, k] - distances[:, k - 1]
        # Nearly equal rows have a density of one over a rounding error.
        return (gap > TIE * (1 + distances[:, k])) & (distances[:, :k].mean(axis=1) > TIE)

    distances, neighbors = search.kneighbors()
    own = plain(distances)
    if queries is not None:
        distances, neighbors = search.kneighbors(queries)
        return plain(distances) & own[neighbors[:, :k]].all(axis=1)
    return own & own[neighbors[:, :k]].all(axis=1)


def finite(values):
    return [float(v) for v in values]


def deterministic(name, x, whole=False):
    x = x[:, :1] if name == "mad" else x
    model = DETERMINISTIC[name]()
    model.fit(x)
    scores = np.asarray(model.decision_scores_, dtype=float)
    fresh = new_rows(x)
    # One row a call: ECOD and COPOD rank a row among the others of its call, too.
    judged = [float(model.decision_function(row.reshape(1, -1))[0]) for row in fresh]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        probability = [float(model.predict_proba(row.reshape(1, -1), method="linear")[0, 1]) for row in fresh]
    rows = np.arange(len(x))
    use = np.ones(len(fresh), dtype=bool)
    if name == "lof":
        rows = np.flatnonzero(clear(x))
        use = clear(x, np.array(fresh))
    said = {"rows": len(rows)}
    if whole:
        said["index"] = rows.tolist()
    else:
        said["index"] = rows[spread(len(rows), 8)].tolist() if len(rows) else []
        said["range"] = finite([scores.min(), scores.max()])
        total = float(scores.sum())
        said["sum"] = total if np.isfinite(total) else None
    said["score"] = finite(scores[said["index"]])
    said["new"] = [score if ok else None for score, ok in zip(judged, use)]
    said["probability"] = [p if ok else None for p, ok in zip(probability, use)]
    if name == "lof" and not whole:
        # The range hangs on single rows, which need not be clear.
        del said["probability"], said["range"], said["sum"]
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
        lines.append(json.dumps({"name": name, "values": x.tolist(), "detectors": said}, allow_nan=False))
    for path in sorted((data / "adbench_classical").glob("*.npz")):
        if path.stem not in anchored:
            continue
        raw = np.load(path)
        x, y = thinned(raw["X"], raw["y"])
        said = {detector: deterministic(detector, x) for detector in DETERMINISTIC}
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
