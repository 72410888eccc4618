"""Models of ours in other runtimes and models of theirs in `mtl`, by what each predicts.

    python interchange_cases.py target/release/mtl

The shop of the README, out to PyTorch and in from it by the blocks of docs/interchange.md, in from
Keras by that of docs/from-pytorch.md; dates in every form and zone, their ages, and crosses, by the
functions of `interchange.py`. Exits with 1 if a difference exceeds 1e-6. Needs what `interchange.py`
needs, torch and xxhash included; Keras if there is one.
"""

import csv
import datetime
import importlib.util
import json
import pathlib
import random
import re
import subprocess
import sys
import tempfile

import interchange
import numpy

SHOP = pathlib.Path(__file__).resolve().parents[3] / "examples" / "configs"

DATES = """
[data]
train = "log.csv"
split = { by = "random", validation = 0.2, test = 0.2 }

[[feature]]
name = "time"
kind = "datetime"
parts = ["hour", "weekday", "hour_of_week", "day", "month", "age_days"]
ZONE
missing_indicator = true

[[feature]]
name = "place"
kind = "cross"
of = ["shop", "city"]
min_count = 2

[[feature]]
name = "place_hashed"
kind = "cross"
of = ["city", "shop"]
hash_buckets = 40

[[task]]
name = "click"

[[task]]
name = "buy"

[model]
name = "mmoe"
experts = 2
embedding = { bound = 1.0 }

[train]
epochs = 2
batch_size = 32
learning_rate = 0.02
"""


class Home:
    """A folder, and the command in it."""

    def __init__(self, mtl, folder):
        self.command, self.folder = pathlib.Path(mtl).resolve(), pathlib.Path(folder)

    def mtl(self, arguments):
        ran = subprocess.run(
            [self.command, *arguments.split()], cwd=self.folder, capture_output=True, text=True
        )
        assert ran.returncode == 0, f"mtl {arguments}\n{ran.stderr}"

    def write(self, name, text):
        (self.folder / name).write_text(text)

    def predicted(self, model, rows):
        """The columns of `mtl predict`."""
        self.mtl(f"predict {model} --data {rows} --out predicted.csv")
        return interchange.predicted(self.folder / "predicted.csv")

    def exported(self, model, rows):
        """Exports a model and compares what it says of some rows."""
        self.mtl(f"export {model} --format onnx --out {model}.onnx")
        expected = self.predicted(model, rows)
        spread = min(values.std() for values in expected.values())
        assert spread > 1e-3, f"rows that are all alike show nothing: {spread}"
        return interchange.compare_onnx(
            self.folder / rows, expected, str(self.folder / f"{model}.onnx")
        )


    def moved(self, config, weights, who, values):
        """Starts a model of some configuration from weights and compares what somebody says of the
        shop's rows: one epoch of steps that move nothing that f32 can tell."""
        still = re.sub("(?m)^(epochs|learning_rate) = .*$", "", config)
        still = still.replace("[train]", "[train]\nepochs = 1\nlearning_rate = 1e-30")
        self.write("still.toml", still)
        self.mtl(f"train still.toml --out moved --init {weights}")
        expected = self.predicted("moved", "shop.csv")
        assert numpy.ptp(expected["p_click"]) > 1e-3, "rows that are all alike show nothing"
        return interchange.compare(who, values, expected)


def shop(home):
    """Out to PyTorch and to ONNX; in from PyTorch."""
    config, rows = (SHOP / "shop.toml").read_text(), SHOP / "shop.csv"
    home.write("shop.csv", rows.read_text())
    home.write("shop.toml", config)
    home.mtl("train shop.toml --out shop")
    differences = [home.exported("shop", "shop.csv")]
    home.mtl("export shop --format safetensors --out shop.safetensors")
    files = {
        "shop.vocabulary.json": home.folder / "shop.vocabulary.json",
        "examples/configs/shop.csv": rows,
    }

    def in_torch(before, weights):
        places = files | {weights: home.folder / weights}
        scope = interchange.snippet("interchange.md", before, places)
        return {name: values.numpy() for name, values in scope["p"].items()}

    found = in_torch("### Into PyTorch", "shop.safetensors")
    differences.append(interchange.compare("to pytorch", found, home.predicted("shop", "shop.csv")))
    found = in_torch("### From PyTorch", "torch.safetensors")
    differences.append(home.moved(config, "torch.safetensors", "from pytorch", found))
    return max(differences)


def in_keras(home):
    """In from Keras, where there is one."""
    if importlib.util.find_spec("keras") is None:
        print("keras is not installed: left out")
        return 0.0
    page = (SHOP.parents[1] / "docs" / "from-pytorch.md").read_text()
    config = re.search("```toml\n(.*?)```", page, re.S)[1]
    home.write("shop.csv", (SHOP / "shop.csv").read_text())
    home.write("shop.toml", config)
    home.mtl("train shop.toml --out shop")
    home.mtl("export shop --format onnx --out shop.onnx")
    vocabulary = home.folder / "shop.vocabulary.json"
    files = {
        "shop.vocabulary.json": vocabulary,
        "keras.safetensors": home.folder / "keras.safetensors",
    }
    model = interchange.snippet("from-pytorch.md", ", in Keras\n", files)["model"]
    with open(home.folder / "shop.csv", newline="") as file:
        rows = list(csv.DictReader(file))
    inputs = interchange.encode(json.loads(vocabulary.read_text()), rows)
    outputs = model.predict({name: ids.astype("int32") for name, ids in inputs.items()}, verbose=0)
    found = {name: values[:, 0] for name, values in outputs.items()}
    return home.moved(config, "keras.safetensors", "from keras", found)


def forms_of(moment):
    """A moment of UTC as logs write it."""
    berlin = datetime.timezone(datetime.timedelta(hours=2))
    seconds = int(moment.timestamp())
    return [
        str(seconds),
        str(seconds * 1000 + 7),
        str(seconds * 10**9),
        moment.isoformat().replace("+00:00", "Z"),
        moment.astimezone(berlin).isoformat(),
        moment.strftime("%Y-%m-%d %H:%M:%S"),
        moment.strftime("%Y-%m-%dT%H:%M"),
        moment.strftime("%Y-%m-%d"),
        moment.strftime("%Y%m%d"),
    ]


def log(pick):
    """400 rows; `pick` says which of the forms of a time each row has."""
    draw = random.Random(1)
    lines = ["time,city,shop,click,buy"]
    for i in range(400):
        # A year and more around changes of summer time, days before 1970 too.
        hours = draw.randrange(-400, 20_000) if i % 50 else -i
        start = datetime.datetime(2025, 3, 29, tzinfo=datetime.timezone.utc)
        if i % 40 == 7:
            start = datetime.datetime(1969, 12, 1, tzinfo=datetime.timezone.utc)
        moment = start + datetime.timedelta(hours=hours, seconds=draw.randrange(3600))
        time = "" if i % 10 == 3 else forms_of(moment)[pick(i)]
        city, shop = draw.choice(["Rome", "Oslo", "Nowhere", ""]), draw.choice(["1", "2", "x", ""])
        click = int(draw.random() < (0.8 if moment.hour < 8 else 0.2))
        lines.append(f"{time},{city},{shop},{click},{click * (i % 2)}")
    return "\n".join(lines) + "\n"


def dates(home):
    """Dates in every form, in every kind of zone, and crosses."""
    worst = 0.0
    for zone in [None, "Europe/Berlin", "America/New_York", "+05:30", "Z"]:
        line = "" if zone is None else f'time_zone = "{zone}"'
        home.write("log.toml", DATES.replace("ZONE", line))
        home.write("log.csv", log(lambda i: i % 9))
        home.mtl("train log.toml --out log")
        print(f"dates, time_zone {zone}")
        worst = max(worst, home.exported("log", "log.csv"))
    return worst


def main():
    worst = 0.0
    for case in [shop, in_keras, dates]:
        with tempfile.TemporaryDirectory() as folder:
            worst = max(worst, case(Home(sys.argv[1], folder)))
    print(f"largest of all: {worst:.1e}")
    sys.exit(worst > 1e-6)


if __name__ == "__main__":
    main()
