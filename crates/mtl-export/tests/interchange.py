"""A trained model in PyTorch (from safetensors) and in ONNX Runtime, against `mtl predict`.

    mtl export DIR --format safetensors --out w.safetensors
    mtl export DIR --format onnx --out m.onnx
    mtl predict DIR --data rows.csv --out p.csv
    python interchange.py rows.csv p.csv m.onnx [w.safetensors]

Checks the ONNX file, encodes the rows by the vocabulary beside it, and prints the largest
difference of each output, and how far either is from the same graph in f64; exits with 1 if the
difference exceeds 1e-6 (of values beyond 1, a millionth of them). With weights, the model is an
MMoE of tutorial form, without sequences, hashed features and calibration. Needs onnx, onnxruntime,
numpy; torch with safetensors for the weights; xxhash for hashed features.
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


def in_torch(weights, vocabulary, rows):
    """The outputs of the snippet in docs/interchange.md, as it stands there."""
    book = pathlib.Path(__file__).resolve().parents[3] / "docs" / "interchange.md"
    snippet = re.search("```python\n(.*?)```", book.read_text(), re.S)[1]
    for name, path in [
        ("shop.safetensors", weights),
        ("shop.vocabulary.json", vocabulary),
        ("examples/configs/shop.csv", rows),
    ]:
        assert name in snippet, name
        snippet = snippet.replace(name, path)
    scope = {}
    exec(snippet, scope)
    return {name: values.numpy() for name, values in scope["p"].items()}


def main():
    rows_path, predicted_path, onnx_path = sys.argv[1:4]
    with open(rows_path, newline="") as file:
        rows = list(csv.DictReader(file))
    with open(predicted_path, newline="") as file:
        predicted = list(csv.DictReader(file))
    expected = {name: numpy.array([float(row[name]) for row in predicted]) for name in predicted[0]}
    model = onnx.load(onnx_path)
    onnx.checker.check_model(model, full_check=True)
    vocabulary_path = onnx_path.removesuffix(".onnx") + ".vocabulary.json"
    with open(vocabulary_path) as file:
        vocabulary = json.load(file)
    inputs = encode(vocabulary, rows)
    names = [output.name for output in model.graph.output]
    outputs, exact = run(model, names, inputs), run(in_f64(model), names, inputs)
    differences = []
    for name in names:
        difference = distance(outputs[name], expected[name])
        far = distance(outputs[name], exact[name]), distance(expected[name], exact[name])
        print(
            f"onnxruntime {name}: {len(rows)} rows, largest difference {difference:.1e}; "
            f"from f64 {far[0]:.1e}, ours {far[1]:.1e}"
        )
        differences.append(difference)
    if len(sys.argv) > 4:
        for name, values in in_torch(sys.argv[4], vocabulary_path, rows_path).items():
            differences.append(distance(values, expected[name]))
            print(f"pytorch {name}: largest difference {differences[-1]:.1e}")
    sys.exit(max(differences) > 1e-6)


if __name__ == "__main__":
    main()
