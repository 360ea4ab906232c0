"""Writes fixture.json: what Anomstack's preprocessing, PyOD's KNN and PCA, and their mean
say of a few series. The plugins `knn` and `pca` are held to it.

    python3 -m venv venv
    venv/bin/pip install pyod==3.6.7 scikit-learn==1.9.1 pandas==3.1.1
    venv/bin/python make_fixture.py

The known numbers of the first series were taken from a run of Anomstack itself. If the
libraries no longer give them, this script stops.
"""

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pyod
import sklearn
from pyod.models.knn import KNN
from pyod.models.pca import PCA

VERSIONS = {"pyod": "3.6.7", "scikit-learn": "1.9.1", "pandas": "3.1.1"}
KNOWN = {
    "knn": {"range": (0.262639751164, 0.957233767409), 43: 0.235940207900, 55: 0.194936732003},
    "pca": {"range": (476.404396548605, 1187.099759663945), 51: 0.803986593716, 55: 0.582956316811},
}


def features(values, diff_n, smooth_n, lags_n):
    """The difference to the value diff_n before, its trailing mean, and the lags of that;
    rows with a NaN are dropped. Row order stays: the models do not depend on it."""
    frame = pd.DataFrame({"metric_value": values})
    if diff_n > 0:
        frame["metric_value"] = frame["metric_value"].diff(diff_n)
    if smooth_n > 0:
        frame["metric_value"] = frame["metric_value"].rolling(smooth_n).mean()
    for lag in range(1, lags_n + 1):
        frame[f"lag_{lag}"] = frame["metric_value"].shift(lag)
    return frame.dropna()


def judge(model, train, score):
    model.fit(train.to_numpy())
    probability = model.predict_proba(score.to_numpy(), method="linear")[:, 1]
    if np.isnan(probability).any():
        return None
    return {
        "range": [float(model.decision_scores_.min()), float(model.decision_scores_.max())],
        "probability": probability.tolist(),
    }


def case(name, values, train_until, score_from, preprocess=(1, 3, 5), n_neighbors=5):
    values = np.asarray(values, dtype=float)
    train = features(values[:train_until], *preprocess)
    score = features(values[score_from:], *preprocess)
    return {
        "name": name,
        "preprocess": dict(zip(("diff_n", "smooth_n", "lags_n"), preprocess)),
        "n_neighbors": n_neighbors,
        "train_until": train_until,
        "score_from": score_from,
        "values": [None if np.isnan(v) else v for v in values.tolist()],
        "index": (score.index + score_from).tolist(),
        "features": score.to_numpy().tolist(),
        "knn": judge(KNN(contamination=0.01, n_neighbors=n_neighbors), train, score),
        "pca": judge(PCA(contamination=0.01), train, score),
    }


def waves():
    i = np.arange(60)
    values = 10 + 3 * np.sin(i / 5) + ((37 * i) % 11) / 10
    values[57] = 25
    return values


def days(rng):
    """Six days at a quarter of an hour, with noise, a level shift and a spike."""
    i = np.arange(6 * 96)
    values = 200 + 80 * np.sin(2 * np.pi * i / 96) + rng.normal(0, 6, i.size)
    values[540:] += 60
    values[560] += 400
    return values.round(3)


def gaps(rng):
    """A random walk that lacks single values and a stretch, in training and after."""
    values = rng.normal(0, 1, 200).cumsum()
    values[[20, 21, 77, 180]] = np.nan
    values[100:115] = np.nan
    return values.round(4)


def counter(rng):
    """Bytes: large numbers with small, uneven steps, and a reset."""
    values = 4e12 + rng.poisson(1500, 150).cumsum().astype(float)
    values[140:] -= 4e12
    return values


def flat():
    """Nothing moves, then one value does. PCA has no answer."""
    values = np.full(60, 7.5)
    values[55] = 7.6
    return values


def main():
    found = {"pyod": pyod.version.__version__, "scikit-learn": sklearn.__version__, "pandas": pd.__version__}
    assert found == VERSIONS, f"install {VERSIONS}, found {found}"
    rng = np.random.default_rng(20260101)
    cases = [
        case("waves", waves(), 50, 35),
        case("days", days(rng), 480, 500),
        case("gaps", gaps(rng), 160, 100, preprocess=(2, 2, 3), n_neighbors=7),
        case("raw values", gaps(rng), 160, 100, preprocess=(0, 0, 0), n_neighbors=3),
        case("counter", counter(rng), 120, 100),
        case("flat", flat(), 50, 30),
    ]
    for model, known in KNOWN.items():
        first = cases[0][model]
        assert np.allclose(first["range"], known["range"], rtol=0, atol=1e-9), first["range"]
        for index in set(known) - {"range"}:
            got = first["probability"][cases[0]["index"].index(index)]
            assert abs(got - known[index]) < 1e-9, (model, index, got)
    path = Path(__file__).with_name("fixture.json")
    lines = [json.dumps(c, allow_nan=False) for c in cases]
    path.write_text("[\n" + ",\n".join(lines) + "\n]\n")
    print(f"{path}: {len(cases)} series, {path.stat().st_size} bytes")


if __name__ == "__main__":
    main()
