"""A trained model in PyTorch (from safetensors) and in ONNX Runtime, against `mtl predict`.

    mtl export DIR --format safetensors --out w.safetensors
    mtl export DIR --format onnx --out m.onnx
    mtl predict DIR --data rows.csv --out p.csv
    python interchange.py rows.csv p.csv m.onnx [w.safetensors]

Checks the ONNX file, encodes the rows by the vocabulary beside it, and prints the largest
difference of each output, and how far either is from the same graph in f64; exits with 1 if the
difference exceeds 1e-6 (of values beyond 1, a millionth of them). With weights, the model is an
MMoE of tutorial form, without sequences, hashed features and calibration. Needs onnx, onnxruntime,
numpy; torch with safetensors for the weights; xxhash for hashed features. `interchange_cases.py`
beside it makes models of its own to compare.
"""

import csv
import datetime
import json
import pathlib
import re
import sys
import zoneinfo

import numpy
import onnx
import onnxruntime

INTEGER = re.compile("0|-?[1-9][0-9]*")


def identifier(vocabulary, feature):
    """The function from a text to its id."""
    missing, first = vocabulary["missing"], vocabulary["first_known"]
    if feature["kind"] == "vocabulary":
        ids = {str(value): first + i for i, value in enumerate(feature["values"])}
        ids[""] = missing
        return lambda text: ids.get(text, vocabulary["unseen"])

    import xxhash

    def hashed(text):
        if not text:
            return missing
        is_integer = INTEGER.fullmatch(text)
        key = (int(text) % 2**64).to_bytes(8, "little") if is_integer else text.encode()
        return first + xxhash.xxh3_64_intdigest(key) % feature["buckets"]

    return hashed


def cut(cell, sequence):
    """The items of a cell that are read."""
    if not cell.strip():
        return []
    items, n = [item.strip() for item in cell.split(sequence["separator"])], sequence["max_length"]
    return items[:n] if sequence["keep"] == "first" else items[-n:]


def moment(cell, zone):
    """The local date and time of a cell, and whether it has a time of day."""
    utc = datetime.timezone.utc
    if re.fullmatch("(19|20)[0-9]{6}", cell):
        return datetime.datetime.strptime(cell, "%Y%m%d"), False
    try:
        seconds = int(cell)
    except ValueError:
        found = datetime.datetime.fromisoformat(cell)
        if found.tzinfo and zone:
            found = found.astimezone(zone)
        return found.replace(tzinfo=None, microsecond=0), len(cell) > 10
    while abs(seconds) >= 10**11:
        seconds //= 1000
    found = datetime.datetime.fromtimestamp(seconds, utc).astimezone(zone or utc)
    return found.replace(tzinfo=None), True


def time_zone(text):
    """An offset or a name; None where instants are left as they are."""
    if text is None:
        return None
    if text == "Z" or text[0] in "+-":
        return datetime.datetime.fromisoformat(f"2000-01-01T00:00{text}").tzinfo
    return zoneinfo.ZoneInfo(text)


def of_date(vocabulary, feature):
    """The function from a text to the id of a part, or to an age."""
    zone = time_zone(feature["time_zone"])
    parts = {
        "hour": lambda at: at.hour,
        "weekday": lambda at: at.weekday(),
        "hour_of_week": lambda at: 24 * at.weekday() + at.hour,
        "day": lambda at: at.day - 1,
        "month": lambda at: at.month - 1,
    }

    def part(cell):
        at, has_time = moment(cell, zone) if cell else (None, False)
        name = feature["part"]
        if at is None or (not has_time and name.startswith("hour")):
            return vocabulary["missing"]
        return vocabulary["first_known"] + parts[name](at)

    def age(cell):
        if not cell:
            return numpy.nan
        at, _ = moment(cell, zone)
        days = (at - datetime.datetime(1970, 1, 1)) / datetime.timedelta(days=1)
        return (-days - feature["shift"]) / feature["scale"]

    return age if feature["kind"] == "age_days" else part


def cells_of(feature, rows):
    """The values of its column; of a cross, those of its columns together."""
    if "joined_by" not in feature:
        return [row[feature["column"]] for row in rows]
    values = ([row[column] for column in feature["column"]] for row in rows)
    return [feature["joined_by"].join(cells) if all(cells) else "" for cells in values]


def encode(vocabulary, rows):
    """The inputs of the graph for rows of texts; an empty text is a missing value."""
    inputs = {}
    for name, feature in vocabulary["inputs"].items():
        cells = cells_of(feature, rows)
        if feature["kind"] in ("date_part", "age_days"):
            inputs[name] = numpy.array(list(map(of_date(vocabulary, feature), cells)))
        elif feature["kind"] == "number":
            inputs[name] = numpy.array([float(cell) if cell else numpy.nan for cell in cells])
        elif "sequence" in feature:
            to_id = identifier(vocabulary, feature)
            lists = [[to_id(item) for item in cut(cell, feature["sequence"])] for cell in cells]
            longest = max(1, *map(len, lists))
            pad = [vocabulary["no_item"]] * longest
            inputs[name] = numpy.array([(ids + pad)[:longest] for ids in lists], numpy.int64)
        else:
            inputs[name] = numpy.array(list(map(identifier(vocabulary, feature), cells)))
    return inputs


def in_f64(model):
    """The same graph with every float a double."""
    float32, double = onnx.TensorProto.FLOAT, onnx.TensorProto.DOUBLE
    wide = onnx.ModelProto()
    wide.CopyFrom(model)
    for tensor in wide.graph.initializer:
        if tensor.data_type == float32:
            values = onnx.numpy_helper.to_array(tensor).astype(numpy.float64)
            tensor.CopyFrom(onnx.numpy_helper.from_array(values, tensor.name))
    for node in wide.graph.node:
        for attribute in node.attribute:
            if node.op_type == "Cast" and attribute.i == float32:
                attribute.i = double
    for output in wide.graph.output:
        output.type.tensor_type.elem_type = double
    return wide


def run(model, names, inputs):
    """The outputs of ONNX Runtime by name."""
    session = onnxruntime.InferenceSession(
        model.SerializeToString(), providers=["CPUExecutionProvider"]
    )
    return dict(zip(names, session.run(names, inputs), strict=True))


def distance(a, b):
    """The largest difference, relative for values beyond 1."""
    return float(numpy.max(numpy.abs(a - b) / numpy.maximum(1, numpy.abs(b))))


def snippet(page, before, files):
    """The names that a Python block of a page in docs leaves: the first one after some text, run as it
    stands there but for the files that it names."""
    book = pathlib.Path(__file__).resolve().parents[3] / "docs" / page
    code = re.search("```python\n(.*?)```", book.read_text().split(before)[1], re.S)[1]
    for name, path in files.items():
        assert name in code, name
        code = code.replace(name, str(path))
    scope = {}
    exec(code, scope)
    return scope


def predicted(path):
    """The columns of what `mtl predict` wrote, by name."""
    with open(path, newline="") as file:
        rows = list(csv.DictReader(file))
    return {name: numpy.array([float(row[name]) for row in rows]) for name in rows[0]}


def compare_onnx(rows_path, expected, onnx_path):
    """The largest difference of ONNX Runtime from `mtl predict` over all outputs."""
    with open(rows_path, newline="") as file:
        rows = list(csv.DictReader(file))
    model = onnx.load(onnx_path)
    onnx.checker.check_model(model, full_check=True)
    with open(vocabulary_of(onnx_path)) as file:
        inputs = encode(json.load(file), rows)
    names = [output.name for output in model.graph.output]
    outputs, exact = run(model, names, inputs), run(in_f64(model), names, inputs)
    differences = []
    for name in names:
        differences.append(distance(outputs[name], expected[name]))
        far = distance(outputs[name], exact[name]), distance(expected[name], exact[name])
        print(
            f"onnxruntime {name}: {len(rows)} rows, largest difference {differences[-1]:.1e}; "
            f"from f64 {far[0]:.1e}, ours {far[1]:.1e}"
        )
    return max(differences)


def compare(who, values, expected):
    """The largest difference of somebody's outputs from `mtl predict`."""
    differences = []
    for name, found in values.items():
        differences.append(distance(found, expected[name]))
        print(f"{who} {name}: {len(found)} rows, largest difference {differences[-1]:.1e}")
    return max(differences)


def vocabulary_of(onnx_path):
    """The file that stands beside an ONNX file."""
    return str(onnx_path).removesuffix(".onnx") + ".vocabulary.json"


def main():
    rows_path, predicted_path, onnx_path = sys.argv[1:4]
    expected = predicted(predicted_path)
    differences = [compare_onnx(rows_path, expected, onnx_path)]
    if len(sys.argv) > 4:
        files = {
            "shop.safetensors": sys.argv[4],
            "shop.vocabulary.json": vocabulary_of(onnx_path),
            "examples/configs/shop.csv": rows_path,
        }
        scope = snippet("interchange.md", "### Into PyTorch", files)
        found = {name: values.numpy() for name, values in scope["p"].items()}
        differences.append(compare("pytorch", found, expected))
    sys.exit(max(differences) > 1e-6)


if __name__ == "__main__":
    main()
