"""The rates of Keras's schedules, taken as its optimizers take them."""

from __future__ import annotations

import json

import numpy as np


def rates(keras, cases, steps, dtype):
    """The learning rate that an optimizer uses at each step, for every case.

    Args:
        keras: The package.
        cases: JSON, a list of [class name, arguments].
        steps: Whole numbers from 0.
        dtype: Keras's floatx, float32 or float64.

    Returns:
        "N": the rates of case N, `(steps,)`.
    """
    import tensorflow

    keras.backend.set_floatx(str(dtype))
    answer = {}
    for number, (name, arguments) in enumerate(json.loads(str(cases))):
        schedule = getattr(keras.optimizers.schedules, name)(**arguments)
        if keras.__name__ == "tf_keras":
            # optimizer_v2.py, _decayed_lr: the step comes in the variables' dtype.
            optimizer = keras.optimizers.legacy.SGD(schedule)

            @tensorflow.function
            def rate(step, optimizer=optimizer):
                optimizer.iterations.assign(step)
                return optimizer._decayed_lr(str(dtype))

        else:
            optimizer = keras.optimizers.SGD(schedule)

            @tensorflow.function
            def rate(step, optimizer=optimizer):
                optimizer.iterations.assign(tensorflow.cast(step, optimizer.iterations.dtype))
                return optimizer._get_current_learning_rate()

        answer[str(number)] = np.array([float(rate(tensorflow.constant(step, "int64"))) for step in steps])
    return answer
