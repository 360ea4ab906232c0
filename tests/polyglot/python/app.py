"""A detector by median and MAD: how far is a point from the middle, in robust deviations?

The model of a series is its median and its scale: the median absolute deviation times 1.4826,
which for normal data is the standard deviation (Rousseeuw and Croux, 1993). A point that lies
`worst` scales away scores 1.
"""

import functools
import json
import math
import struct
import traceback
from typing import List, Tuple

from componentize_py_types import Err
from wit_world import exports
from wit_world.exports.about import Descriptor, Problem
from wit_world.exports.detect import Needs
from wit_world.imports import log
from wit_world.imports.types import (
    Cause_Failed,
    Cause_Warming,
    Error_BadConfig,
    Error_Internal,
    Fitted,
    Matrix,
    Scored,
    Skip,
    Term,
)

MODEL = struct.Struct("<dd")

SCHEMA = {
    "$schema": "https://json-schema.org/draft/2020-12/schema",
    "type": "object",
    "additionalProperties": False,
    "properties": {
        "worst": {
            "type": "number",
            "exclusiveMinimum": 0,
            "default": 10,
            "description": "Robust deviations from the median at which the score is 1.",
        },
        "band": {
            "type": "number",
            "exclusiveMinimum": 0,
            "default": 3,
            "description": "Robust deviations to each edge of what is expected.",
        },
        "points": {
            "type": "integer",
            "minimum": 10,
            "maximum": 100000,
            "default": 360,
            "description": "Points of history that the median is taken of.",
        },
    },
}


def settings(config: str) -> Tuple[float, float, int]:
    given = json.loads(config)
    return float(given.get("worst", 10)), float(given.get("band", 3)), int(given.get("points", 360))


def told(function):
    """Without WASI a traceback cannot be printed, so it travels in the error of the contract."""

    @functools.wraps(function)
    def call(*arguments):
        try:
            return function(*arguments)
        except Err:
            raise
        except Exception:
            raise Err(Error_Internal(traceback.format_exc()))

    return call


def median(ordered: List[float]) -> float:
    middle = len(ordered) // 2
    if len(ordered) % 2:
        return ordered[middle]
    return (ordered[middle - 1] + ordered[middle]) / 2


def learn(values: List[float]) -> Tuple[float, float]:
    """Median and scale. Where more than half of the values are equal the MAD is 0; then the
    mean absolute deviation takes its place, so that a flat line with a few steps has a scale."""
    centre = median(sorted(values))
    deviations = sorted(abs(value - centre) for value in values)
    scale = 1.4826 * median(deviations)
    if scale == 0:
        scale = 1.2533 * sum(deviations) / len(deviations)
    return centre, scale


class About(exports.About):
    def describe(self) -> Descriptor:
        return Descriptor(
            name="median",
            version="0.1.0",
            summary="Distance from the median in robust deviations, in Python",
            config_schema=json.dumps(SCHEMA),
            origins=[],
            secrets=[],
        )

    def check(self, config: str) -> List[Problem]:
        worst, band, _ = settings(config)
        if band >= worst:
            return [Problem(pointer="/band", message=f"the band ({band:g}) must be narrower than `worst` ({worst:g})")]
        return []


class Detect(exports.Detect):
    @told
    def plan(self, config: str, step: int) -> Needs:
        worst, band, points = settings(config)
        if band >= worst:
            raise Err(Error_BadConfig("`band` must be narrower than `worst`"))
        return Needs(history=points, context=0, refit=60, joint=False)

    @told
    def fit(self, config: str, history: Matrix, previous: List[bytes]) -> Fitted:
        columns = history.axis.columns
        fitted, skipped = [], []
        for row in range(history.rows):
            values = [v for v in history.values[row * columns : (row + 1) * columns] if not math.isnan(v)]
            if len(values) < 10:
                fitted.append(b"")
                skipped.append(Skip(row=row, cause=Cause_Warming()))
            else:
                fitted.append(MODEL.pack(*learn(values)))
        log.write(log.Level.DEBUG, "fitted", [("rows", str(history.rows)), ("columns", str(columns))])
        return Fitted(models=fitted, heads=[], skipped=skipped)

    @told
    def score(self, config: str, models: List[bytes], recent: Matrix, tail: int) -> Scored:
        worst, band, _ = settings(config)
        columns = recent.axis.columns
        scores, expected, lower, upper, distances, skipped = [], [], [], [], [], []
        for row, model in enumerate(models):
            if len(model) != MODEL.size:
                skipped.append(Skip(row=row, cause=Cause_Failed(f"a model of {len(model)} bytes")))
                for column in (scores, expected, lower, upper, distances):
                    column.extend([math.nan] * tail)
                continue
            centre, scale = MODEL.unpack(model)
            for value in recent.values[(row + 1) * columns - tail : (row + 1) * columns]:
                distance = abs(value - centre)
                # A constant series has no scale: what differs from it is as odd as it gets.
                distance = distance / scale if scale > 0 else (math.inf if distance > 0 else distance)
                odd = min(1.0, distance / worst) if not math.isnan(distance) else math.nan
                scores.append(odd)
                expected.append(centre)
                lower.append(centre - band * scale)
                upper.append(centre + band * scale)
                distances.append(odd)
        return Scored(
            scores=scores,
            expected=expected,
            lower=lower,
            upper=upper,
            terms=[Term(name="distance", values=distances)],
            skipped=skipped,
        )
