"""Which Keras a model came from: the rules that differ between generations, as named constants."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Profile:
    """One generation of Keras.

    Attributes:
        name: What configs and traces call it.
        stands_for: The versions whose rules these are, and the package that is the oracle.
        fused_batch_norm_is_unbiased: Whether the fused kernel (4-d input, 32 bits or fewer) feeds the
            unbiased batch variance into `moving_variance`, as TF 2's FusedBatchNormV3 does
            (tf_keras 2.21, layers/normalization/batch_normalization.py, `_fused_batch_norm`). Keras 3.15
            (layers/normalization/batch_normalization.py) always takes the biased one.
        batch_norm_decay_is_float32: Whether `1 - momentum` passes through float32 even in a float64 model
            (tf_keras 2.21, layers/normalization/batch_normalization.py, `_assign_moving_average`: it is made
            a float32 tensor, then cast).
        nadam_momentum_decay: The exponent's factor in Nadam's momentum schedule
            mu_t = beta_1 * (1 - 0.5 * 0.96 ** (t * factor)): 0.004 up to TF 2.10
            (tf_keras 2.21, optimizers/legacy/nadam.py), 1.0 in Keras 3.15 (optimizers/nadam.py).
        rmsprop_epsilon_inside_root: Whether RMSprop without momentum divides by sqrt(v + epsilon)
            (Keras 3.15, optimizers/rmsprop.py) or by sqrt(v) + epsilon
            (tf_keras 2.21, optimizers/legacy/rmsprop.py).
        adagrad_epsilon_inside_root: The same of Adagrad (Keras 3.15, optimizers/adagrad.py; tf_keras 2.21,
            optimizers/legacy/adagrad.py).
        optimizers_are_legacy: Whether the optimizers are those up to TF 2.10: their hyperparameters are
            float32 variables whatever the model's dtype, they know `decay` but neither weight decay nor
            averaged weights, an epsilon of 0 means 1e-7, and their slots have other names
            (tf_keras 2.21, optimizers/legacy/optimizer_v2.py; Keras 3.15, optimizers/base_optimizer.py).
        penalty_factors_are_float32: Whether the factors of L1 and L2 pass through float32 even in a float64
            model (Keras 3.15, regularizers/regularizers.py: `ops.cast` of a Python number).
        callbacks_guess_by_name: Whether a callback's mode "auto" goes by the figure's name
            (tf_keras 2.21, callbacks.py) or by the metric's own direction (Keras 3.15,
            callbacks/monitor_callback.py).
        binary_logarithm_adds_epsilon: Whether clipped binary crossentropy adds 1e-7 once more within the
            logarithm (tf_keras 2.21, backend.py, `binary_crossentropy`; Keras 3.15,
            backend/tensorflow/nn.py, does not).
        first_figure_is_best: Whether a callback takes the first figure for the best, even one that is no
            number, and compares in float32 (Keras 3.15, callbacks/monitor_callback.py); tf_keras 2.21 begins
            at infinity and compares as Python does (callbacks.py).
        hard_sigmoid_slope_is_a_fifth: Whether hard_sigmoid is 0.2 x + 0.5 (tf_keras 2.21, backend.py) or
            x / 6 + 0.5 (Keras 3.15, backend/tensorflow/nn.py).
        call_argument_training_holds: Whether a layer or model that was called with `training=False` while a
            functional model was built keeps to it while the model trains (tf_keras 2.21,
            engine/functional.py, `_run_internal_graph`); in Keras 3.15 (models/functional.py,
            `operation_fn`) fit's own `training=True` takes its place.
        affine_centre_offset: ImageDataGenerator turns an image about side / 2 plus this, in pixels
            (keras-preprocessing 1.1.2 image/affine_transformations.py and keras 3.15
            legacy/preprocessing/image.py, `transform_matrix_offset_center`).
        affine_takes_x_first: Whether its matrix acts on (column, row), as Keras 3.15's, or on (row, column).
        brightness_stretches: Whether its brightness_range stretches each image to 0-255 first, as
            keras-preprocessing 1.1.2 does (`array_to_img(scale=True)`).
        whitening_is_of_covariance: Whether ImageDataGenerator's zca_whitening decomposes the covariance, as
            keras-preprocessing 1.1.2 does, or the images, as keras 3.15 (`fit` in the files above).
    """

    name: str
    stands_for: str
    fused_batch_norm_is_unbiased: bool
    batch_norm_decay_is_float32: bool
    nadam_momentum_decay: float
    rmsprop_epsilon_inside_root: bool
    adagrad_epsilon_inside_root: bool
    optimizers_are_legacy: bool
    penalty_factors_are_float32: bool
    callbacks_guess_by_name: bool
    binary_logarithm_adds_epsilon: bool
    first_figure_is_best: bool
    hard_sigmoid_slope_is_a_fifth: bool
    call_argument_training_holds: bool
    affine_centre_offset: float
    affine_takes_x_first: bool
    brightness_stretches: bool
    whitening_is_of_covariance: bool


TF24 = Profile(
    name="tf2.4",
    stands_for="TF 2.4's tf.keras; oracle: tf_keras with its legacy optimizers, keras-preprocessing 1.1.2",
    fused_batch_norm_is_unbiased=True,
    batch_norm_decay_is_float32=True,
    nadam_momentum_decay=0.004,
    rmsprop_epsilon_inside_root=False,
    adagrad_epsilon_inside_root=False,
    optimizers_are_legacy=True,
    penalty_factors_are_float32=False,
    callbacks_guess_by_name=True,
    binary_logarithm_adds_epsilon=True,
    first_figure_is_best=False,
    hard_sigmoid_slope_is_a_fifth=True,
    call_argument_training_holds=True,
    affine_centre_offset=0.5,
    affine_takes_x_first=False,
    brightness_stretches=True,
    whitening_is_of_covariance=True,
)
KERAS3 = Profile(
    name="keras3",
    stands_for="Keras 3; oracle: keras 3.15 on TensorFlow",
    fused_batch_norm_is_unbiased=False,
    batch_norm_decay_is_float32=False,
    nadam_momentum_decay=1.0,
    rmsprop_epsilon_inside_root=True,
    adagrad_epsilon_inside_root=True,
    optimizers_are_legacy=False,
    penalty_factors_are_float32=True,
    callbacks_guess_by_name=False,
    binary_logarithm_adds_epsilon=False,
    first_figure_is_best=True,
    hard_sigmoid_slope_is_a_fifth=False,
    call_argument_training_holds=False,
    affine_centre_offset=-0.5,
    affine_takes_x_first=True,
    brightness_stretches=False,
    whitening_is_of_covariance=False,
)
PROFILES: dict[str, Profile] = {profile.name: profile for profile in (TF24, KERAS3)}
