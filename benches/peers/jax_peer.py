"""W1 in JAX, batched by hand (`arrays.py`), the whole step under `jit`: a contender of `compare.py`.

Adam is written out in Keras's form; it steps every row of a table.
"""

import argparse
import functools
import os


def main():
    arguments = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    arguments.add_argument("--variant", choices=["batched"], required=True)
    arguments.add_argument("--threads", type=int, default=1)
    given = arguments.parse_args()
    if given.threads == 1:
        os.environ["XLA_FLAGS"] = "--xla_cpu_multi_thread_eigen=false"
    os.environ["NPROC"] = str(given.threads)

    # XLA reads its flags when it is imported.
    import jax
    import jax.numpy as jnp

    import arrays
    import contender
    import workload

    class Operations:
        """What `arrays.py` asks of a library; one draws the masks of one step."""

        def __init__(self, dropout, key):
            self.dropout, self.key = dropout, key
            self.reshape, self.matmul, self.sum = jnp.reshape, jnp.matmul, jnp.sum
            self.relu, self.sigmoid, self.softmax = jax.nn.relu, jax.nn.sigmoid, jax.nn.softmax
            self.transpose, self.concat = jnp.transpose, jnp.concatenate

        @staticmethod
        def take(table, ids):
            return table[ids]

        def drop(self, h):
            if not self.dropout:
                return h
            self.key, key = jax.random.split(self.key)
            kept = jax.random.bernoulli(key, 1 - self.dropout, h.shape)
            return jnp.where(kept, h / (1 - self.dropout), 0)

        @staticmethod
        def logit_entropy(z, labels):
            return jnp.mean(jax.nn.softplus(z) - labels * z)

        @staticmethod
        def entropy(p, y):
            return -jnp.mean(y * jnp.log(p) + (1 - y) * jnp.log1p(-p))

    def adam(p, g, m, v, rate):
        m = m + 0.1 * (g - m)
        v = v + 0.001 * (g * g - v)
        return p - rate * m / (jnp.sqrt(v) + workload.EPSILON), m, v

    def make(data, model, dropout):
        weights = jax.tree.map(jnp.asarray, workload.batched(data, model))
        zeros = jax.tree.map(jnp.zeros_like, weights)
        state = [weights, zeros, jax.tree.map(jnp.zeros_like, weights)]

        @functools.partial(jax.jit, donate_argnums=0)
        def step(state, ids, labels, rate, key):
            weights, first, second = state
            o = Operations(dropout, key)
            value, gradients = jax.value_and_grad(
                lambda weights: arrays.loss(o, weights, ids, labels, model)
            )(weights)
            stepped = {
                k: adam(weights[k], gradients[k], first[k], second[k], rate) for k in weights
            }
            return [{k: stepped[k][i] for k in stepped} for i in range(3)], value

        offsets = data.offsets()
        batches = [(jnp.asarray(ids + offsets), jnp.asarray(y)) for ids, y in data.batches]

        def run(batch, n):
            nonlocal state
            rate = workload.LEARNING_RATE * (1 - 0.999**n) ** 0.5 / (1 - 0.9**n)
            state, value = step(state, *batches[batch], rate, jax.random.key(n))
            # The step is done when its last array is there.
            jax.block_until_ready(state)
            return value

        return run

    contender.serve(make)


if __name__ == "__main__":
    main()
