"""Golden values of calibration by scikit-learn: run it to write golden.json.

    python -m venv venv && venv/bin/pip install scikit-learn==1.9.1
    venv/bin/python crates/mtl-calibrate/tests/golden/generate.py
"""

import json
import pathlib

import numpy as np
from sklearn.calibration import _sigmoid_calibration
from sklearn.isotonic import IsotonicRegression


def case(seed, n, digits, weighted):
    random = np.random.default_rng(seed)
    truth = 1 / (1 + np.exp(-random.normal(-1.0, 1.2, n)))
    labels = (random.random(n) < truth).astype(float)
    # Predictions that are too sure, and rounded so that many are equal.
    z = 1.6 * np.log(truth / (1 - truth)) + 0.7 + random.normal(0, 0.4, n)
    predictions = np.clip(np.round(1 / (1 + np.exp(-z)), digits), 0.001, 0.999)
    weights = np.round(random.uniform(0.25, 3.0, n), 2) if weighted else np.ones(n)
    logits = np.log(predictions) - np.log1p(-predictions)
    # scikit-learn's line is 1 / (1 + exp(a·f + b)).
    a, b = _sigmoid_calibration(logits, labels, weights)
    at = np.round(np.linspace(0.0, 1.0, 21), 3)
    curve = IsotonicRegression(y_min=0, y_max=1, out_of_bounds="clip")
    curve.fit(predictions, labels, sample_weight=weights)
    return {
        "labels": labels.astype(int).tolist(),
        "predictions": predictions.tolist(),
        "weights": weights.tolist(),
        "slope": -a,
        "offset": -b,
        "at": at.tolist(),
        "isotonic": curve.predict(at).tolist(),
        "knots": len(curve.X_thresholds_),
    }


cases = [case(1, 60, 2, False), case(2, 150, 2, True), case(3, 200, 6, True)]
path = pathlib.Path(__file__).with_name("golden.json")
path.write_text("[\n" + ",\n".join(json.dumps(c) for c in cases) + "\n]\n")
