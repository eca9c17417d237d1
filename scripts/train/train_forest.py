"""Trains the isolation forest of the flight desk and writes its artifact and golden vectors.

    python scripts/train/train_forest.py                                write both
    python scripts/train/train_forest.py --check --fresh 20000 --seed 7 --out FILE
        train again, fail unless the committed artifact is the same byte for byte, and write scikit-learn's scores of every
        training row and of fresh random rows to FILE, for scripts/verify/forest.mjs
    python scripts/train/train_forest.py --time 2000
        train again and print how many records a second scikit-learn scores in batches of 2000, for bench/forest.mjs

Deterministic: a fixed seed, pinned requirements, no time in the output. The format is in wasm/SPEC.md.
"""

import argparse
import json
import struct
import sys
import time
import zlib
from datetime import datetime
from pathlib import Path

import numpy as np
import pyarrow.compute as pc
import pyarrow.parquet as pq
import sklearn
from sklearn.ensemble import IsolationForest

ROOT = Path(__file__).resolve().parents[2]
DATA = ROOT / "node_modules/vega-datasets/data/flights-3m.parquet"
ARTIFACT = ROOT / "wasm/artifacts/flight-forest.bin"
GOLDEN = ROOT / "test/golden/forest.golden.json"

FEATURES = ["delay", "distance", "hour", "delay_share"]
END = datetime(2001, 1, 4)
SEED = 2001
TREES = 100
SAMPLES = 256
UNUSUAL = 0.01
LEAF = 255


def flights():
    """The first three days: date, delay, distance."""
    table = pq.read_table(DATA, columns=["date", "delay", "distance"])
    table = table.filter(pc.less(table["date"], END))
    dates = table["date"].to_numpy().astype("datetime64[m]")
    return dates, table["delay"].to_numpy(), table["distance"].to_numpy()


def features_of(dates, delay, distance):
    """What topologies/flight-features.ts computes, in the same order of operations."""
    minutes = (dates - dates.astype("datetime64[D]")).astype(np.float64)
    delay = delay.astype(np.float64)
    distance = distance.astype(np.float64)
    return np.stack([delay, distance, minutes / 60, delay / (30 + distance / 8)], axis=1).astype(np.float32)


def train(rows):
    return IsolationForest(n_estimators=TREES, max_samples=SAMPLES, random_state=SEED).fit(rows)


def scores_of(forest, rows):
    return -forest.score_samples(rows)


def unusual_from(scores):
    """A threshold that about 1 % of the flights reach, in the middle of a gap between scores, so that rounding moves nobody across."""
    ordered = np.unique(scores)[::-1]
    want = int(len(scores) * UNUSUAL)
    reached = np.searchsorted(np.sort(-scores), -ordered, side="right")
    for at in np.argsort(np.abs(reached - want), kind="stable"):
        if at + 1 < len(ordered) and ordered[at] - ordered[at + 1] > 1e-6:
            return float((ordered[at] + ordered[at + 1]) / 2), int(reached[at])
    raise SystemExit("no gap between the scores near the wanted share")


def down_to_float32(threshold):
    """The greatest float32 not above: for float32 x, `x <= threshold` stays exactly what it was."""
    nearest = np.float32(threshold)
    return nearest if float(nearest) <= threshold else np.nextafter(nearest, np.float32(-np.inf), dtype=np.float32)


def nodes_of(forest, number):
    """One tree breadth first as (column, value): a split's threshold, or a leaf's depth + c(samples that reached it)."""
    tree = forest.estimators_[number].tree_
    paths = forest._decision_path_lengths[number] + forest._average_path_length_per_tree[number] - 1.0
    queue, nodes = [0], []
    for node in queue:
        left = tree.children_left[node]
        if left < 0:
            nodes.append((LEAF, np.float32(paths[node])))
        else:
            nodes.append((int(tree.feature[node]), down_to_float32(tree.threshold[node])))
            queue += [left, tree.children_right[node]]
    return nodes


def artifact_of(forest, threshold, metadata):
    trees = [nodes_of(forest, number) for number in range(len(forest.estimators_))]
    nodes = [node for tree in trees for node in tree]
    text = json.dumps(metadata, separators=(",", ":")).encode()
    body = b"".join([
        struct.pack("<4sHHIIIId", b"SKIF", 1, len(FEATURES), forest.max_samples_, len(trees), len(nodes), len(text), threshold),
        text,
        np.array([len(tree) for tree in trees], dtype="<u2").tobytes(),
        np.array([value for _, value in nodes], dtype="<f4").tobytes(),
        bytes(column for column, _ in nodes),
    ])
    return body + struct.pack("<I", zlib.crc32(body))


def hard_rows(forest, rows, random):
    """Rows on purpose: around thresholds, at the ends of float32, and spread far beyond the data."""
    found = []
    for tree in forest.estimators_:
        for feature, threshold in zip(tree.tree_.feature, tree.tree_.threshold):
            if feature >= 0:
                found.append((int(feature), down_to_float32(threshold)))
    picked = []
    for index in random.choice(len(found), 100, replace=False):
        feature, threshold = found[index]
        for value in (threshold, np.nextafter(threshold, np.float32(np.inf), dtype=np.float32)):
            row = rows[random.integers(len(rows))].copy()
            row[feature] = value
            picked.append(row)
    largest, tiny = np.finfo(np.float32).max, np.float32(1e-45)
    extremes = [largest, -largest, tiny, -tiny, np.float32(0.0), np.float32(-0.0), np.float32(1e30), np.float32(-1e30)]
    picked += [random.choice(extremes, len(FEATURES)).astype(np.float32) for _ in range(100)]
    low, high = rows.min(axis=0), rows.max(axis=0)
    span = high - low
    picked += list(random.uniform(low - span, high + span, (150, len(FEATURES))).astype(np.float32))
    return np.array(picked, dtype=np.float32)


def golden_of(forest, threshold, dates, delay, distance, rows):
    random = np.random.default_rng(SEED)
    order = np.argsort(-scores_of(forest, rows), kind="stable")
    picked = np.concatenate([order[:100], random.choice(len(rows), 200, replace=False)])
    real = [
        {"date": str(dates[i]) + ":00.000Z", "delay": int(delay[i]), "distance": int(distance[i])} for i in picked
    ]
    hard = hard_rows(forest, rows, random)
    every = np.concatenate([rows[picked], hard])
    return {
        "about": "Written by scripts/train/train_forest.py. `rows` begin with the features of `flights`; `scores` are -score_samples.",
        "scikit_learn": sklearn.__version__,
        "threshold": threshold,
        "flights": real,
        "rows": [[float(value) for value in row] for row in every],
        "scores": [float(score) for score in scores_of(forest, every)],
    }


def timed(forest, rows):
    """Records a second of the best of many batches, one thread: other work on the machine only ever slows one down."""
    best = float("inf")
    until = time.perf_counter() + 2
    while time.perf_counter() < until:
        began = time.perf_counter()
        forest.score_samples(rows)
        best = min(best, time.perf_counter() - began)
    return len(rows) / best


def dump_lines(document):
    """JSON with one line an element of each list: small, and a diff shows which row moved."""
    parts = []
    for key, value in document.items():
        if isinstance(value, list):
            lines = ",\n".join(json.dumps(item, separators=(",", ":")) for item in value)
            parts.append(f"{json.dumps(key)}: [\n{lines}\n]")
        else:
            parts.append(f"{json.dumps(key)}: {json.dumps(value)}")
    return "{\n" + ",\n".join(parts) + "\n}\n"


def main():
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("--check", action="store_true")
    options.add_argument("--fresh", type=int, default=20_000, help="random rows to score besides the flights")
    options.add_argument("--seed", type=int, default=0, help="of the fresh rows")
    options.add_argument("--out", type=Path)
    options.add_argument("--time", type=int, metavar="BATCH")
    options = options.parse_args()

    dates, delay, distance = flights()
    rows = features_of(dates, delay, distance)
    forest = train(rows)
    if options.time:
        print(json.dumps({"records_per_second": timed(forest, rows[: options.time]), "version": sklearn.__version__}))
        return
    scores = scores_of(forest, rows)
    threshold, reached = unusual_from(scores)
    metadata = {
        "name": "flight-forest",
        "features": FEATURES,
        "trained_on": f"vega-datasets flights-3m, 2001-01-01 to 2001-01-03, {len(rows)} flights",
        "unusual": f"{reached} of {len(rows)} flights reach the threshold",
        "trainer": f"scikit-learn {sklearn.__version__}, IsolationForest, seed {SEED}",
    }
    artifact = artifact_of(forest, threshold, metadata)

    if options.check:
        same = ARTIFACT.read_bytes() == artifact
        print(f"trained again: the artifact is {'the same, byte for byte' if same else 'NOT the same'} ({len(artifact)} bytes)")
        if options.out:
            random = np.random.default_rng(options.seed)
            scale = 10.0 ** random.uniform(-3, 5, (options.fresh, 1))
            fresh = (rows[random.integers(len(rows), size=options.fresh)] + random.normal(0, scale, (options.fresh, len(FEATURES)))).astype(np.float32)
            every = np.concatenate([rows, hard_rows(forest, rows, random), fresh])
            out = struct.pack("<IIId", len(rows), len(every), len(FEATURES), threshold)
            options.out.write_bytes(out + every.tobytes() + scores_of(forest, every).astype("<f8").tobytes())
        sys.exit(0 if same else 1)

    ARTIFACT.write_bytes(artifact)
    GOLDEN.write_text(dump_lines(golden_of(forest, threshold, dates, delay, distance, rows)))
    print(f"{ARTIFACT.relative_to(ROOT)}: {len(artifact)} bytes; {metadata['trained_on']}; {metadata['unusual']}, {threshold}")


if __name__ == "__main__":
    main()
