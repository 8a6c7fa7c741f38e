"""The differences between Keras and torch that change a training: a number, an entry, a seeded fault each.

parity_tests/test_differences.py makes docs/differences.md of this (--write-pages): it puts each fault into a
port and asks the ladder to catch it at the rung named here. Versions: Keras 3.15, tf_keras
2.21 with its legacy optimizers for TF 2.4, torch 2.15.
"""

from __future__ import annotations

from dataclasses import dataclass

from porting import data_faults, faults
from porting.data_port import DataPort
from porting.faults import Fault

BOTH = ("tf2.4", "keras3")


@dataclass(frozen=True)
class Difference:
    """One difference.

    Attributes:
        number: "D01" and so on; never given twice.
        title: What it is about.
        keras: What Keras does, each generation where they differ.
        torch: What torch or Lightning does when left alone.
        remedy: Where the port does what Keras does.
        source: The file of Keras in which the rule stands.
        rung: The rung that catches it.
        case: The training of parity_tests/training_cases.py that shows it.
        fault: Puts it into a port; None where nothing in a port can show it (`note` says why).
        data_fault: Our data path with it, for rung 8; `case` is then the first comparison that parts.
        profiles: The generations in which the fault parts from Keras.
        dtypes: The precisions in which it does.
        note: What else a team should know.
    """

    number: str
    title: str
    keras: str
    torch: str
    remedy: str
    source: str
    rung: str = ""
    case: str = ""
    fault: Fault | None = None
    data_fault: type[DataPort] | None = None
    profiles: tuple[str, ...] = BOTH
    dtypes: tuple[str, ...] = ("float64",)
    note: str = ""


DIFFERENCES = (
    Difference(
        "D01",
        "Nadam's momentum schedule",
        "mu_t = beta_1 (1 - 0.5 * 0.96^(k t)), with k = 0.004 up to TF 2.10 and k = 1 in Keras 3.",
        "NAdam has k = momentum_decay = 0.004, whichever Keras the model came from.",
        "keras_semantics.optimizers.KerasNadam, Profile.nadam_momentum_decay",
        "tf_keras optimizers/legacy/nadam.py; keras optimizers/nadam.py",
        "update",
        "v3_nadam",
        faults.other_generations_optimizer,
        dtypes=("float64", "float32"),
    ),
    Difference(
        "D02",
        "RMSprop's epsilon",
        "Keras 3 divides by sqrt(v + eps); the legacy optimizer by sqrt(v) + eps without momentum and by "
        "sqrt(v + eps) with it.",
        "RMSprop divides by sqrt(v) + eps.",
        "keras_semantics.optimizers.KerasRMSprop",
        "keras optimizers/rmsprop.py; tf_keras optimizers/legacy/rmsprop.py",
        "update",
        "small_rmsprop",
        faults.other_generations_optimizer,
        dtypes=("float64", "float32"),
    ),
    Difference(
        "D03",
        "BatchNormalization's running variance",
        "Keras 3 takes the biased batch variance; TF 2's fused kernel (4-d, 32 bits or fewer) the unbiased "
        "one, its other path the biased.",
        "BatchNorm takes the unbiased one.",
        "keras_semantics.layers.BatchNorm, Profile.fused_batch_norm_is_unbiased",
        "keras and tf_keras layers/normalization/batch_normalization.py",
        "state",
        "v3_nadam",
        faults.other_running_variance,
        dtypes=("float64", "float32"),
    ),
    Difference(
        "D04",
        "The legacy argument `decay`",
        "The rate of step t, from 0, is lr / (1 + decay t), per batch. Keras 3 has no such argument.",
        "No optimizer has it; a scheduler steps per epoch unless told otherwise.",
        "keras_semantics.optimizers, argument `decay` of profile tf2.4",
        "tf_keras optimizers/legacy/optimizer_v2.py, `_decayed_lr`",
        "update",
        "small_adam",
        faults.no_decay,
        profiles=("tf2.4",),
        dtypes=("float64", "float32"),
    ),
    Difference(
        "D05",
        "Crossentropy of logits, or of clipped probabilities",
        "Where softmax is the last operation Keras finds the logits behind it and computes from them; "
        "otherwise probabilities are clipped to 1e-7 ... 1 - 1e-7, and a clipped one has no gradient.",
        "cross_entropy computes from logits.",
        "keras_semantics.losses",
        "keras backend/tensorflow/nn.py and tf_keras backend.py, `categorical_crossentropy`",
        "loss",
        "small_saturated",
        faults.clipped_probabilities,
        dtypes=("float64", "float32"),
    ),
    Difference(
        "D07",
        "Padding `same` with a stride",
        "The total padding is max((ceil(n / s) - 1) s + k - n, 0), its odd pixel at the bottom and right.",
        "padding=k // 2 pads both sides alike.",
        "keras_semantics.padding.SamePadConv2d",
        "keras backend/common/backend_utils.py; tensorflow's Conv2D",
        "forward",
        "small_sgd",
        faults.symmetric_padding,
        dtypes=("float64", "float32"),
    ),
    Difference(
        "D08",
        "The order of Flatten before a dense layer",
        "Height, width, channels.",
        "Channels, height, width. Every shape agrees, and so does every number of parameters.",
        "keras_semantics.layers.Flatten",
        "keras layers/reshaping/flatten.py",
        "forward",
        "v3_nadam",
        faults.channels_first_flatten,
        dtypes=("float64", "float32"),
    ),
    Difference(
        "D09",
        "BatchNormalization's momentum",
        "Weighs the old statistic: 0.99.",
        "Weighs the new one: 0.1 by default; Keras's 0.99 is torch's 0.01.",
        "keras_semantics.layers.BATCH_NORM_MOMENTUM",
        "keras layers/normalization/batch_normalization.py",
        "state",
        "v3_nadam",
        faults.momentum_not_inverted,
        dtypes=("float64", "float32"),
    ),
    Difference(
        "D10",
        "BatchNormalization's epsilon",
        "1e-3.",
        "1e-5.",
        "keras_semantics.layers.BATCH_NORM_EPSILON",
        "keras layers/normalization/batch_normalization.py",
        "forward",
        "v3_nadam",
        faults.torch_epsilon,
        dtypes=("float64", "float32"),
    ),
    Difference(
        "D11",
        "A frozen BatchNormalization",
        "Since TF 2, trainable=False also means inference mode: running statistics, and they stay.",
        "requires_grad_(False) leaves the layer in training mode.",
        "keras_semantics.layers.BatchNorm(trainable=False)",
        "keras layers/normalization/batch_normalization.py, `call`",
        "state",
        "small_sgd",
        faults.frozen_layer_in_training_mode,
        dtypes=("float64", "float32"),
    ),
    Difference(
        "D12",
        "Average pooling with padding `same`",
        "The padding is left out of the mean.",
        "count_include_pad=True counts it, and pads both sides alike.",
        "keras_semantics.pooling",
        "tensorflow's AvgPool; keras layers/pooling/base_pooling.py",
        "forward",
        "small_sgd",
        faults.counted_padding,
        dtypes=("float64", "float32"),
    ),
    Difference(
        "D14",
        "Activations of the same name",
        "hard_sigmoid is 0.2 x + 0.5 up to TF 2 and x / 6 + 0.5 in Keras 3; LeakyReLU's slope is 0.3 in the "
        "layer and 0.2 in the function; gelu's constants are float32.",
        "Hardsigmoid is x / 6 + 0.5; LeakyReLU's slope is 0.01.",
        "keras_semantics.activations, Profile.hard_sigmoid_slope_is_a_fifth",
        "keras activations/activations.py and backend/tensorflow/nn.py; tf_keras backend.py",
        "forward",
        "small_activations",
        faults.torchs_activations,
        dtypes=("float64", "float32"),
    ),
    Difference(
        "D15",
        "Start weights",
        "glorot_uniform kernels and zero biases; he_normal and lecun_normal are cut off at two of their own "
        "deviations, with the spread corrected.",
        "Uniform in 1 / sqrt(fan_in), biases too; kaiming_normal_ does not truncate.",
        "keras_semantics.initializers",
        "keras initializers/random_initializers.py, `VarianceScaling`",
        note="A trace carries its start weights over, so no rung sees this: distribution tests do "
        "(parity_tests/test_initializers.py), and torch's own initialisers fail them.",
    ),
    Difference(
        "D16",
        "Adam's epsilon",
        "1e-7, added to sqrt(v) before the bias correction (epsilon hat of arXiv 1412.6980, section 2).",
        "1e-8, added to sqrt(v_hat).",
        "keras_semantics.optimizers.KerasAdam",
        "keras optimizers/adam.py; tf_keras optimizers/legacy/adam.py",
        "update",
        "v2_adam",
        faults.torch_adam,
        dtypes=("float64", "float32"),
    ),
    Difference(
        "D17",
        "Softmax twice",
        "The model ends in softmax, the loss takes probabilities.",
        "cross_entropy applies log_softmax itself: a ported softmax before it trains, only worse.",
        "the ports give logits; softmax belongs to `probabilities`",
        "keras losses/losses.py",
        "loss",
        "v3_nadam",
        faults.softmax_twice,
        dtypes=("float64", "float32"),
    ),
    Difference(
        "D18",
        "L2's factor",
        "L2(f) adds f * sum(w^2) to the loss and to val_loss, of the weights it was given for.",
        "weight_decay = f adds f * w to the gradient, half of that, of every parameter, and to no loss.",
        "keras_semantics.regularizers",
        "keras regularizers/regularizers.py, `L2`",
        "loss",
        "small_sgd",
        faults.half_penalty,
        dtypes=("float64", "float32"),
    ),
    Difference(
        "D19",
        "What weighted losses are divided by",
        "The batch size: sum(w l) / B.",
        "cross_entropy(weight=...) divides by the sum of the weights.",
        "keras_semantics.losses",
        "keras losses/loss.py, `reduce_weighted_values`; tf_keras losses/utils",
        "loss",
        "small_sgd",
        faults.divided_by_the_weights,
        dtypes=("float64", "float32"),
    ),
    Difference(
        "D20",
        "ReduceLROnPlateau's patience",
        "Acts when `patience` epochs have passed without improvement.",
        "Acts at one more: num_bad_epochs > patience.",
        "keras_semantics.callbacks",
        "keras callbacks/reduce_lr_on_plateau.py",
        "trajectory",
        "v3_nadam",
        faults.plateau_one_epoch_late,
    ),
    Difference(
        "D21",
        "EarlyStopping's restore_best_weights",
        "Puts the best epoch's weights back when it stops, where asked for.",
        "EarlyStopping leaves the last weights; the best lie in a checkpoint, if one was kept.",
        "keras_semantics.callbacks",
        "keras callbacks/early_stopping.py",
        "trajectory",
        "v1_adam",
        faults.last_weights_kept,
    ),
    Difference(
        "D22",
        "An epoch's figures",
        "Means over the epoch's examples, each batch weighing by its size, taken while the weights change.",
        "self.log weighs by the batch_size it is told, and guesses it from the batch where it is not.",
        "lightning_impl.compiled.CompiledModule",
        "keras trainers/trainer.py, `_loss_tracker`",
        "loss",
        "v3_nadam",
        faults.unweighted_figures,
    ),
    Difference(
        "D23",
        "ImageDataGenerator's affine transformation",
        "rotation · shift · shear · zoom about (h / 2 + 0.5, w / 2 + 0.5) in TF 2.4's Keras-Preprocessing "
        "1.1.2; today's acts on (column, row) about (h / 2 - 0.5, w / 2 - 0.5), whose two coordinates are "
        "swapped on images that are not square. Shifts are not whole pixels. shear_range is in degrees. A "
        "zoom above 1 shrinks.",
        "A.Affine and torchvision's RandomAffine take the parts in another order, about another centre, and "
        "A.Affine moves by whole pixels only: no arguments make them the same.",
        "lightning_impl.augment.KerasAffine, Profile.affine_centre_offset, Profile.affine_takes_x_first",
        "keras-preprocessing 1.1.2 image/affine_transformations.py; keras 3.15 legacy/preprocessing/image.py",
        "data",
        "augmentation",
        data_fault=data_faults.OtherCentre,
        dtypes=("float32",),
    ),
    Difference(
        "D24",
        "Which part validates",
        "ImageDataGenerator(validation_split=s): the first int(s n) sorted files of each class. fit and "
        "image_dataset_from_directory take the last part of all.",
        "random_split draws.",
        "lightning_impl.data.index.validation_count",
        "keras-preprocessing 1.1.2 image/utils.py, `_list_valid_filenames_in_directory`",
        "data",
        "training files",
        data_fault=data_faults.LastPartValidates,
        dtypes=("float32",),
    ),
    Difference(
        "D25",
        "Decoding and resizing",
        "Pillow's convert('RGB') and resize with NEAREST; no EXIF rotation.",
        "torchvision's Resize is bilinear and antialiases; OpenCV turns by EXIF, and its INTER_NEAREST takes "
        "other pixels (INTER_NEAREST_EXACT takes Pillow's).",
        "lightning_impl.data.decode",
        "keras-preprocessing 1.1.2 image/utils.py and keras 3.15 utils/image_utils.py, `load_img`",
        "data",
        "decoding and resizing",
        data_fault=data_faults.BilinearResize,
        dtypes=("float32",),
    ),
    Difference(
        "D26",
        "The order of classes",
        "Folder names by code point: Zebra before ant, 10 before 9; hidden and empty folders count.",
        "ImageFolder sorts alike, but refuses an empty folder; natural and case-insensitive orders are other "
        "labels.",
        "parity_common.class_folders",
        "keras-preprocessing 1.1.2 image/directory_iterator.py",
        "data",
        "class order",
        data_fault=data_faults.CaseInsensitiveOrder,
        dtypes=("float32",),
    ),
    Difference(
        "D28",
        "Hyperparameters rounded to float32",
        "A float64 Keras makes many of its hyperparameters float32 first (tf.cast of a Python number): 0.9 "
        "is off by 2.4e-8.",
        "Python's double.",
        "keras_semantics.optimizers.rounding",
        "keras and tf_keras optimizers",
        "update",
        "v3_nadam",
        faults.torch_nadam,
        profiles=("tf2.4",),
        note="Visible in float64 only; a float64 reference that is to prove a port must be met bit by bit.",
    ),
    Difference(
        "D29",
        "A bias before BatchNormalization",
        "Its gradient is zero in exact arithmetic, round-off in fact; Adam and its kin scale it up to the "
        "learning rate.",
        "The same, with other round-off.",
        "porting.round_off: named from the trace, held to a tolerance of their own",
        "-",
        note="Two runs of the SAME framework part here too. The moving mean follows the bias, so that no "
        "output changes. The same holds for single elements whose first gradient is by chance as small as "
        "epsilon. Nothing to repair; leave the bias out (use_bias=False) in a new net.",
    ),
    Difference(
        "D30",
        "clipnorm",
        "Per tensor; global_clipnorm is over all of them.",
        "clip_grad_norm_, and Lightning's gradient_clip_val, are over all.",
        "keras_semantics.optimizers.clipping",
        "tf_keras optimizers/utils.py; keras optimizers/base_optimizer.py, `_clip_gradients`",
        "update",
        "small_sgd",
        faults.norm_over_all_tensors,
        dtypes=("float64", "float32"),
    ),
    Difference(
        "D31",
        "Dropout's rate",
        "The share dropped; the kept are divided by 1 - rate in training. Under TF 1 keep_prob was the share "
        "kept.",
        "The same as Keras's: p is the share dropped.",
        "keras_semantics.layers.Dropout",
        "keras layers/regularization/dropout.py",
        "state",
        "v3_nadam",
        faults.kept_share_for_dropped,
        dtypes=("float64", "float32"),
    ),
    Difference(
        "D32",
        "Label smoothing",
        "y (1 - s) + s / classes, in training and in evaluation: val_loss has it too.",
        "cross_entropy(label_smoothing=s) is the same; ports tend to leave it out of validation.",
        "keras_semantics.losses",
        "keras losses/losses.py, `categorical_crossentropy`",
        "loss",
        "small_sgd",
        faults.no_label_smoothing,
        dtypes=("float64", "float32"),
    ),
    Difference(
        "D33",
        "class_weight",
        "Weighs training examples only; val_loss and accuracy are without it.",
        "cross_entropy(weight=...) weighs whatever it is used on, and divides otherwise (D19).",
        "lightning_impl.compiled.CompiledModule(class_weight=...)",
        "keras trainers/data_adapters/data_adapter_utils.py, `class_weight_to_sample_weights`",
        "state",
        "v3_nadam",
        faults.no_class_weights,
        dtypes=("float64", "float32"),
    ),
    Difference(
        "D34",
        "Constraints",
        "Applied to a weight after each update of it.",
        "None; nn.utils.parametrize constrains before the forward pass, and trains another parameter.",
        "keras_semantics.constraints, CompiledModule.optimizer_step",
        "keras optimizers/base_optimizer.py, `apply`; constraints/constraints.py",
        "update",
        "small_sgd",
        faults.no_constraints,
        dtypes=("float64", "float32"),
    ),
    Difference(
        "D35",
        "weight_decay beside Adam",
        "Decoupled: w <- w - lr wd w, before the update. The legacy optimizers have none.",
        "Adam(weight_decay=wd) adds wd * w to the gradient; AdamW is decoupled.",
        "keras_semantics.optimizers, argument `weight_decay` of profile keras3",
        "keras optimizers/base_optimizer.py, `_apply_weight_decay`",
        "update",
        "small_adam",
        faults.coupled_weight_decay,
        profiles=("keras3",),
        dtypes=("float64", "float32"),
    ),
    Difference(
        "D36",
        "ReduceLROnPlateau's min_delta",
        "Absolute: an improvement is value < best - min_delta, 1e-4 by default.",
        "threshold_mode='rel': value < best (1 - threshold).",
        "keras_semantics.callbacks",
        "keras callbacks/reduce_lr_on_plateau.py",
        "trajectory",
        "v3_nadam",
        faults.relative_threshold,
    ),
    Difference(
        "D37",
        "The short last batch",
        "fit trains on it, with a loss that is a mean over its own size.",
        "DataLoader(drop_last=True), which many templates have, leaves it out.",
        "lightning_impl.data.datamodule",
        "keras trainers/data_adapters/array_data_adapter.py",
        "trajectory",
        "v3_nadam",
        faults.short_batch_dropped,
    ),
    Difference(
        "D38",
        "The step of a learning-rate schedule",
        "Counts optimizer steps, from 0; its arithmetic is float32 in float64 models, too.",
        "Lightning steps a scheduler once an epoch, unless told `step`; it computes in float64.",
        "keras_semantics.schedules",
        "keras and tf_keras optimizers/schedules/learning_rate_schedule.py",
        "trajectory",
        "small_cosine",
        faults.schedule_by_epoch,
        dtypes=("float64", "float32"),
    ),
    Difference(
        "D39",
        "brightness_range stretches first",
        "Keras-Preprocessing 1.1.2 stretches each image to 0-255, whatever the factor, and cuts to whole "
        "levels before and after; today's generator does not stretch.",
        "A.RandomBrightnessContrast and ColorJitter multiply or add.",
        "lightning_impl.augment.KerasBrightness, Profile.brightness_stretches",
        "keras-preprocessing 1.1.2 image/affine_transformations.py, `apply_brightness_shift`",
        "data",
        "augmentation",
        data_fault=data_faults.OtherStretch,
        dtypes=("float32",),
        note="An image of low contrast becomes one of full contrast: that is what the net of 2021 saw.",
    ),
    Difference(
        "D40",
        "zca_whitening",
        "Keras-Preprocessing 1.1.2 scales by 1 / sqrt(s + eps) of the covariance's singular values, Keras 3 "
        "by sqrt(n) / (s + eps) of the images' own.",
        "None.",
        "lightning_impl.augment.standardise, Profile.whitening_is_of_covariance",
        "keras-preprocessing 1.1.2 image/image_data_generator.py and keras 3.15 "
        "legacy/preprocessing/image.py, `fit`",
        "data",
        "standardising",
        data_fault=data_faults.OtherWhitening,
        dtypes=("float32",),
    ),
    Difference(
        "D41",
        "Independent draws",
        "One stream of numbers: every parameter of every image is drawn apart.",
        "Albumentations 2.0.8's Compose(seed=n) gives every transform the same stream: HorizontalFlip(0.5) "
        "and VerticalFlip(0.5) agree always; forked workers repeat each other, and epochs repeat themselves.",
        "lightning_impl.augment.sampling",
        "keras-preprocessing 1.1.2 image/image_data_generator.py, `get_random_transform`",
        "data",
        "flip_horizontal independent of flip_vertical",
        data_fault=data_faults.OneStreamForAll,
        dtypes=("float32",),
    ),
    Difference(
        "D42",
        "zoom_range zooms height and width apart",
        "zx and zy are two draws: pictures change their proportions.",
        "RandomAffine(scale=...) and A.Affine(keep_ratio=True) draw once.",
        "lightning_impl.augment.KerasAffine",
        "keras-preprocessing 1.1.2 image/image_data_generator.py, `get_random_transform`",
        "data",
        "zx independent of zy",
        data_fault=data_faults.OneZoom,
        dtypes=("float32",),
    ),
    Difference(
        "D43",
        "channel_shift_range",
        "One number for all channels, cut off at the image's own lowest and highest level.",
        "A.RGBShift draws a number for each channel and cuts off at 0 and 255.",
        "lightning_impl.augment.KerasChannelShift",
        "keras-preprocessing 1.1.2 image/affine_transformations.py, `apply_channel_shift`",
        "data",
        "augmentation",
        data_fault=data_faults.ShiftOfEachChannel,
        dtypes=("float32",),
    ),
    Difference(
        "D44",
        "What lies outside the image",
        "fill_mode is nearest by default: the border goes on.",
        "A.Affine, A.Rotate and RandomAffine fill with black by default.",
        "lightning_impl.augment.KerasAffine(fill_mode=...)",
        "keras-preprocessing 1.1.2 image/image_data_generator.py",
        "data",
        "augmentation",
        data_fault=data_faults.BlackBorder,
        dtypes=("float32",),
    ),
    Difference(
        "D45",
        "The order of a shuffled flow",
        "numpy is seeded with flow's seed plus the batches seen, and permutes.",
        "A DataLoader's sampler permutes with torch's generator.",
        "lightning_impl.data.keras_order.keras_epoch_order",
        "keras-preprocessing 1.1.2 image/iterator.py, `_flow_index`",
        "data",
        "batch order, epoch 0",
        data_fault=data_faults.TorchOrder,
        dtypes=("float32",),
        note="fit on a flow shuffles between epochs with whatever state augmentation left in numpy: that "
        "order nothing outside of the process can repeat, and a trace does not try.",
    ),
)


def by_number(number: str) -> Difference:
    """The difference of that number.

    Raises:
        KeyError: There is none.
    """
    for difference in DIFFERENCES:
        if difference.number == number:
            return difference
    raise KeyError(number)
