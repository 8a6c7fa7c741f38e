"""The differences on an image's way from its file to the net, each a fault that rung 8 catches."""

from __future__ import annotations

from porting import data_faults
from porting.difference import Difference

DATA_DIFFERENCES = (
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
        "parity_common.class_folders.validation_count",
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
