"""W1 in TensorFlow and Keras: a contender of `compare.py`.

Variants:
- `keras`: Keras layers, one for each table, expert, gate and tower, as a tutorial has them; the step is a `tf.function`;
- `batched`: `arrays.py` in a `tf.function`;
- `batched_xla`: the same with `jit_compile`.

The optimiser is Keras's Adam, which steps every row of a table. It gets dense gradients: of an id that is in a
batch twice it would square the two gradients apart.
"""

import argparse
import os

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import keras
import numpy
import tensorflow as tf

import arrays
import contender
import workload
from workload import CHAINS, DIM, SHARED_EXPERTS, TASK_EXPERTS, TASKS, n_experts


class Operations:
    """What `arrays.py` asks of a library."""

    def __init__(self, dropout):
        self.dropout = dropout
        self.take, self.reshape, self.matmul = tf.gather, tf.reshape, tf.matmul
        self.relu, self.sigmoid, self.softmax = tf.nn.relu, tf.sigmoid, tf.nn.softmax
        self.transpose, self.concat, self.sum = tf.transpose, tf.concat, tf.reduce_sum

    def drop(self, h):
        return tf.nn.dropout(h, self.dropout) if self.dropout else h

    @staticmethod
    def logit_entropy(z, labels):
        return tf.reduce_mean(tf.nn.sigmoid_cross_entropy_with_logits(labels, z))

    @staticmethod
    def entropy(p, y):
        return tf.reduce_mean(keras.losses.binary_crossentropy(y, p, axis=-1))


def make_batched(data, model, dropout, xla):
    weights = {k: tf.Variable(v) for k, v in workload.batched(data, model).items()}
    o, offsets = Operations(dropout), data.offsets().astype(numpy.int32)

    def loss(ids, labels):
        return arrays.loss(o, weights, ids, labels, model)

    batches = [(tf.constant(ids + offsets), tf.constant(y)) for ids, y in data.batches]
    return stepper(loss, list(weights.values()), batches, xla)


def make_keras(data, model, dropout):
    net = network(data, model, dropout)
    for layer in net.layers:
        if layer.name.startswith("embedding."):
            layer.set_weights([data.weights[f"{layer.name}.table"]])
        elif isinstance(layer, keras.layers.Dense):
            weight, bias = data.layer(layer.name)
            layer.set_weights([weight] if bias is None else [weight, bias])
    o = Operations(dropout)

    def loss(ids, labels):
        z = tf.transpose(tf.concat(net(ids, training=True), axis=1))
        if model in CHAINS:
            return sum(o.entropy(p, y) for p, y in arrays.chain(o, z, labels, model))
        return len(TASKS) * o.logit_entropy(z, labels)

    batches = [(tf.constant(ids), tf.constant(y)) for ids, y in data.batches]
    return stepper(loss, net.trainable_variables, batches, False)


def stepper(loss, variables, batches, xla):
    adam = keras.optimizers.Adam(workload.LEARNING_RATE, epsilon=workload.EPSILON)
    adam.build(variables)

    @tf.function(jit_compile=xla)
    def step(ids, labels):
        with tf.GradientTape() as tape:
            value = loss(ids, labels)
        gradients = [tf.convert_to_tensor(g) for g in tape.gradient(value, variables)]
        adam.apply_gradients(zip(gradients, variables))
        return value

    return lambda batch, _: step(*batches[batch]).numpy()


# --- Keras layers -----------------------------------------------------------------------------------


def network(data, model, dropout):
    """Logits [B, 1] by tower; layers have the names of our parameters."""
    ids = keras.Input([len(data.tables)], dtype="int32")
    columns = []
    for i, n in enumerate(data.cardinalities()):
        table = keras.layers.Embedding(n, DIM, name=f"embedding.feature_{i}")
        columns.append(table(ids[:, i]))
    x = keras.layers.Concatenate()(columns)
    stacks = Stacks(dropout)
    if model in CHAINS:
        logits = [stacks.tower(x, tower) for tower in CHAINS[model]]
        return keras.Model(ids, logits)
    if model == "shared_bottom":
        hidden = [stacks.stack(x, "bottom")] * len(TASKS)
    elif model == "ple_2":
        plain = Stacks(0.0)
        hidden = level(plain, level(plain, [x] * (len(TASKS) + 1), 0), 1)
    else:
        experts = [stacks.stack(x, f"expert.{k}") for k in range(n_experts(model))]
        hidden = [mix(stacks.gate(x, f"task.{task}.gate", len(experts)), experts) for task in TASKS]
    return keras.Model(ids, [stacks.tower(h, task) for h, task in zip(hidden, TASKS)])


class Stacks:
    def __init__(self, dropout):
        self.dropout = dropout

    def hidden(self, x, path, units):
        h = keras.layers.Dense(units, activation="relu", name=path)(x)
        return keras.layers.Dropout(self.dropout)(h) if self.dropout else h

    def stack(self, x, path):
        return keras.layers.Dense(64, name=f"{path}.1")(self.hidden(x, f"{path}.0", 128))

    def gate(self, x, path, n):
        dense = keras.layers.Dense(n, activation="softmax", use_bias=False, name=f"{path}.2")
        return dense(self.stack(x, path))

    def tower(self, x, task):
        path = f"task.{task}.tower"
        h = self.hidden(self.hidden(x, f"{path}.0", 128), f"{path}.1", 64)
        return keras.layers.Dense(1, name=f"{path}.2")(h)


def mix(weights, experts):
    return keras.ops.sum(weights[:, :, None] * keras.ops.stack(experts, axis=1), axis=1)


def level(stacks, inputs, number):
    """A CGC level: inputs by task and the shared one; the last level has no shared output."""
    path, n_seen = f"level.{number}", TASK_EXPERTS + SHARED_EXPERTS
    shared_x = inputs[-1]
    shared = [stacks.stack(shared_x, f"{path}.shared.expert.{k}") for k in range(SHARED_EXPERTS)]
    outputs, everyone = [], []
    for task, x in zip(TASKS, inputs):
        own = [stacks.stack(x, f"{path}.task.{task}.expert.{j}") for j in range(TASK_EXPERTS)]
        gate = stacks.gate(x, f"{path}.task.{task}.gate", n_seen)
        outputs.append(mix(gate, own + shared))
        everyone += own
    if number == 0:
        everyone += shared
        gate = stacks.gate(shared_x, f"{path}.shared.gate", len(everyone))
        outputs.append(mix(gate, everyone))
    return outputs


def main():
    arguments = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    arguments.add_argument("--variant", choices=["keras", "batched", "batched_xla"], required=True)
    arguments.add_argument("--threads", type=int, default=1)
    given = arguments.parse_args()
    tf.config.threading.set_intra_op_parallelism_threads(given.threads)
    tf.config.threading.set_inter_op_parallelism_threads(1)

    def make(data, model, dropout):
        keras.backend.clear_session()
        if given.variant == "keras":
            return make_keras(data, model, dropout)
        return make_batched(data, model, dropout, given.variant == "batched_xla")

    contender.serve(make)


if __name__ == "__main__":
    main()
