"""What live Keras optimizers do to a few tensors. Weights and gradients come from a seed, on both sides."""

from __future__ import annotations

import ast
import inspect
import json
from pathlib import Path

import numpy as np

# Odd sizes, and more than one vector register of float32 and float64 with a rest.
SHAPES = ((5, 7), (3, 2, 3, 3), (1,))


def draw_weights() -> list[np.ndarray]:
    """Start weights, one array a shape, float64."""
    random = np.random.RandomState(11)
    return [random.normal(0, 1, shape) for shape in SHAPES]


def draw_gradients(step: int) -> list[np.ndarray]:
    """The gradients of a step, counted from 0: sizes from 1e-3 to 10, rows and whole steps of zeros."""
    random = np.random.RandomState(1000 + step)
    gradients = [random.normal(0.2, 1, shape) * 10 ** random.uniform(-3, 1) for shape in SHAPES]
    gradients[0][random.uniform(size=5) < 0.4] = 0
    if step % 7 == 3:
        gradients[1][:] = 0
    return gradients


def train(keras, cases, dtype, **arrays):
    """Trains every case on the drawn gradients.

    Args:
        keras: The package.
        cases: JSON, a list of dicts: `name`, `class` and `arguments` of the optimizer; `first` and `last`
            step; `rates`, learning rates set before a step; `missing`, whether tensor 1 has no gradient at
            odd steps; `excluded`, names kept out of weight decay; `finalize`, whether averages overwrite the
            weights at the end.
        dtype: float32 or float64.
        arrays: "case|name" for a case that goes on from a state, as they are answered.

    Returns:
        "case|w0" weights, "case|slot|0" slots, "case|iterations", "case|u_product" or "case|momentum_cache",
        and the optimizer's get_config() as JSON in "case|config".
    """
    dtype = str(dtype)
    keras.backend.set_floatx(dtype)
    side = _Legacy if keras.__name__ == "tf_keras" else _Keras3
    if side is _Keras3:
        keras.config.set_dtype_policy(dtype)
    answer = {}
    for case in json.loads(str(cases)):
        prefix = case["name"] + "|"
        given = {
            name.removeprefix(prefix): value for name, value in arrays.items() if name.startswith(prefix)
        }
        trained = side(keras, case, dtype, given).train()
        answer.update({prefix + name: value for name, value in trained.items()})
    return answer


def published(keras, name):
    """The numbers Keras's own test of an optimizer expects: `arguments` as JSON and `golden` `(5, 10)`."""
    folder = Path(inspect.getfile(keras.src.optimizers.Adam)).parent
    tree = ast.parse((folder / f"{name}_test.py").read_text())
    (test,) = (
        node for node in ast.walk(tree) if getattr(node, "name", None) == "test_correctness_with_golden"
    )
    values = {node.targets[0].id: node.value for node in test.body if isinstance(node, ast.Assign)}
    arguments = {word.arg: ast.literal_eval(word.value) for word in values["optimizer"].keywords}
    call = values["golden"]
    golden = np.array(ast.literal_eval(call.args[0]))
    if call.func.attr == "tile":
        golden = np.tile(golden, ast.literal_eval(call.args[1]))
    return {"arguments": np.array(json.dumps(arguments)), "golden": golden}


class _Side:
    def __init__(self, keras, case, dtype, given):
        import tensorflow

        self.tensorflow, self.case, self.dtype, self.given = tensorflow, case, dtype, given
        weights = [given.get(f"w{place}", weight) for place, weight in enumerate(draw_weights())]
        self.variables = [self.variable(keras, place, weight) for place, weight in enumerate(weights)]
        self.optimizer = self.make(keras)

    def train(self):
        case = self.case
        if self.given:
            self.load()

        @self.tensorflow.function
        def apply(gradients):
            self.optimizer.apply_gradients(zip(gradients, self.variables, strict=True))

        for step in range(case.get("first", 0), case["last"]):
            if str(step) in case.get("rates", {}):
                self.optimizer.learning_rate = case["rates"][str(step)]
            gradients = [self.tensorflow.constant(gradient, self.dtype) for gradient in draw_gradients(step)]
            if case.get("missing") and step % 2:
                gradients[1] = None
            apply(gradients)
        if case.get("finalize"):
            self.optimizer.finalize_variable_values(self.variables)
        answer = {f"w{place}": np.asarray(variable) for place, variable in enumerate(self.variables)}
        answer.update({name: np.asarray(variable) for name, variable in self.state().items()})
        config = json.dumps(self.optimizer.get_config(), default=float)
        return {**answer, "config": np.array(config)}

    def load(self):
        self.build()
        for name, variable in self.state().items():
            variable.assign(self.given[name])


class _Keras3(_Side):
    def variable(self, keras, place, weight):
        return keras.Variable(weight, dtype=self.dtype, name=f"w{place}")

    def make(self, keras):
        optimizer = getattr(keras.optimizers, self.case["class"])(**self.case["arguments"])
        if self.case.get("excluded"):
            optimizer.exclude_from_weight_decay(var_names=self.case["excluded"])
        return optimizer

    def build(self):
        self.optimizer.build(self.variables)

    def state(self):
        state = {}
        for variable in self.optimizer.variables:
            place, _, slot = variable.name.partition("_")
            if place in ("w0", "w1", "w2"):
                state[f"{slot}|{place[1]}"] = variable
        state["iterations"] = self.optimizer._iterations
        if self.case["class"] == "Nadam":
            state["u_product"] = self.optimizer._u_product
        return state


class _Legacy(_Side):
    def variable(self, keras, place, weight):
        return self.tensorflow.Variable(weight, dtype=self.dtype, name=f"w{place}")

    def make(self, keras):
        return getattr(keras.optimizers.legacy, self.case["class"])(**self.case["arguments"])

    def build(self):
        self.optimizer._create_all_weights(self.variables)

    def state(self):
        optimizer = self.optimizer
        state = {
            f"{slot}|{place}": optimizer.get_slot(variable, slot)
            for slot in optimizer.get_slot_names()
            for place, variable in enumerate(self.variables)
        }
        state["iterations"] = optimizer.iterations
        if self.case["class"] == "Nadam":
            state["momentum_cache"] = optimizer._m_cache
        return state
