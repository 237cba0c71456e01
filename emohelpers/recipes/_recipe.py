"""What a recipe says."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from emohelpers.datasets import EMOTIONS

__all__ = ["Recipe"]


@dataclass(frozen=True)
class Recipe:
    """What a training does, without how.

    Parameters
    ----------
    name : str
        What ``emohelpers train`` calls it.
    summary : str
        One sentence.
    dataset : str
        The source, as in `emohelpers.datasets.load`.
    network : str
        A builder of `emohelpers.models`.
    dataset_options, network_options : mapping
        Further arguments of the loader and of the builder.
    labels : str
        ``"source"``: the data set's own labels; ``"majority"``: what most raters saw, see
        `emohelpers.raters.by_majority`.
    emotions : sequence of str
        The classes, in label order.
    size : int
        Height and width of the images, in pixels.
    crop : float
        The share of the side that is cut off at each edge first, where the source leaves more room
        around a face than the network is used to, 0 to below 0.5.
    color : bool
        Three channels in place of one.
    training_list : str, optional
        Of UTKFace: a list of the images to train on and their labels, see
        `emohelpers.datasets.utkface.read_training_list`.
    folds : int
        Into how many parts the people of a source without splits are divided, one to test on; 0
        where the source has splits. See `emohelpers.datasets.assign_fold`.
    split_by : str, optional
        The column that names the person; None divides by image.
    each_fold : bool
        Train as many networks as there are folds, each tested on another one. The result is their
        average.
    images_per_class : int, optional
        Of each class train on so many images at most, drawn at random.
    augmented_total : int, optional
        Write changed copies of the training images as files before training, so many that there
        are this many files with those for validation and testing, see
        `emohelpers.augmentation.write_augmented`. Without it images change in each epoch anew.
    augmentation : str, optional
        A preset of `emohelpers.augmentation.pipeline`.
    augmentation_options : mapping
        Strengths in place of the preset's, or without one.
    sampling : str, optional
        How training images are evened out over the classes, see `emohelpers.sampling.resample`.
    sampling_options : mapping
        Its further arguments, but for the seed, which is that of the training.
    class_weights : float
        The exponent of the class weights: 1 weighs in full, 0 not at all.
    beta : float
        What class weights are made with, see `emohelpers.sampling.class_weights`: 1 are the
        balanced ones of scikit-learn.
    optimizer : str
        The name of a class of `keras.optimizers`.
    optimizer_options : mapping
        Its arguments, but for the learning rate.
    learning_rate : float
        At the first step, or after the warm-up.
    schedule : str
        ``"constant"``, or ``"cosine"``: down to zero at the last epoch.
    warmup : float
        Epochs over which a cosine schedule first rises from zero.
    label_smoothing, focal, logit_adjustment, mixup, cutmix : float
        See `emohelpers.training.fit`.
    votes : float
        The share of each training target that the raters' votes have, see
        `emohelpers.raters.soft_labels`; the label has the rest.
    expected_labels : bool
        Learn not the votes themselves but what label they let expect, see
        `emohelpers.raters.expected_labels`.
    teacher : str, optional
        A published network, by its folder's name, whose opinion of each training image is learned
        (Hinton et al. 2015, https://arxiv.org/abs/1503.02531), as far as it knows the classes.
    teacher_share : float
        The share of each training target that the teacher's opinion has.
    batch_size, epochs, patience : int
        See `emohelpers.training.fit`.
    steps_per_epoch : int, optional
        See `emohelpers.training.fit`.
    monitor : str
        What chooses the best epoch, ``"val_accuracy"`` or ``"val_loss"``.
    head : mapping
        How the last layer is fitted after training, to the training images as they are, with no
        regard to class weights or sampling: ``method`` and further arguments of
        `emohelpers.training.fit_head`. With it, a network of which nothing else is to be trained
        takes 0 epochs.
    odds : mapping of str to float, or "balanced"
        What the odds of some emotions are multiplied by after training, see
        `emohelpers.training.multiply_odds`. ``"balanced"`` takes the inverse of each one's share
        of the training images, as it is before they are evened out: the logit adjustment after
        training of Menon et al. (2021, https://arxiv.org/abs/2007.07314).
    reported : mapping
        The figures of the system's authors, where it is not the project's own.
    """

    name: str
    summary: str
    dataset: str
    network: str
    dataset_options: Mapping[str, Any] = field(default_factory=dict)
    network_options: Mapping[str, Any] = field(default_factory=dict)
    labels: str = "source"
    emotions: tuple[str, ...] = EMOTIONS[:7]
    size: int = 48
    crop: float = 0.0
    color: bool = False
    training_list: str | None = None
    folds: int = 0
    split_by: str | None = "person"
    each_fold: bool = False
    images_per_class: int | None = None
    augmented_total: int | None = None
    augmentation: str | None = None
    augmentation_options: Mapping[str, Any] = field(default_factory=dict)
    sampling: str | None = None
    sampling_options: Mapping[str, Any] = field(default_factory=dict)
    class_weights: float = 0.0
    beta: float = 1.0
    optimizer: str = "Adam"
    optimizer_options: Mapping[str, Any] = field(default_factory=dict)
    learning_rate: float = 1e-3
    schedule: str = "constant"
    warmup: float = 0.0
    label_smoothing: float = 0.0
    focal: float = 0.0
    logit_adjustment: float = 0.0
    mixup: float = 0.0
    cutmix: float = 0.0
    votes: float = 0.0
    expected_labels: bool = False
    teacher: str | None = None
    teacher_share: float = 0.0
    batch_size: int = 64
    epochs: int = 100
    patience: int = 0
    steps_per_epoch: int | None = None
    monitor: str = "val_accuracy"
    head: Mapping[str, Any] = field(default_factory=dict)
    odds: Mapping[str, float] | str = field(default_factory=dict)
    reported: Mapping[str, float] = field(default_factory=dict)
