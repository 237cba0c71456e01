import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn.utils.class_weight import compute_class_weight

from emohelpers.errors import ConfigurationError, LabelError
from emohelpers.sampling import class_weights

labels = st.lists(st.integers(0, 9), min_size=1, max_size=60)


@given(labels)
def test_class_weights_are_those_of_scikit_learn(found):
    classes = np.unique(found)
    theirs = compute_class_weight("balanced", classes=classes, y=found)
    ours = class_weights(found)
    assert [ours[label] for label in classes] == pytest.approx(theirs)
    assert list(ours) == list(range(max(found) + 1))


@given(labels)
def test_each_class_counts_the_same_and_an_image_1_on_average(found):
    weights = class_weights(np.array(found), n_classes=10)
    sums = [weights[label] * found.count(label) for label in range(10)]
    assert sum(sums) == pytest.approx(len(found))
    share = len(found) / len(set(found))
    assert [sums[label] for label in set(found)] == pytest.approx([share] * len(set(found)))
    assert {label for label in range(10) if weights[label] == 0} == set(range(10)) - set(found)


@pytest.mark.parametrize(
    ("found", "n_classes", "error", "message"),
    [
        ([], None, ConfigurationError, r"shape \(0,\)"),
        ([[0, 1]], None, ConfigurationError, r"shape \(1, 2\)"),
        ([0, -1], None, LabelError, "from -1 to 0"),
        ([0, 7], 7, LabelError, "from 0 to 7: expected 0 to 6"),
        ([0.0, 1.0], None, LabelError, "float64: expected integers"),
        (["anger"], None, LabelError, "expected integers"),
    ],
)
def test_labels_that_are_not_class_numbers_are_refused(found, n_classes, error, message):
    with pytest.raises(error, match=message):
        class_weights(found, n_classes)


@given(labels, st.sampled_from([0.5, 0.9, 0.999]))
def test_class_balanced_weights_are_inverse_to_the_effective_number_of_images(found, beta):
    weights = class_weights(found, n_classes=10, beta=beta)
    # Cui et al. 2019, proposition 1: the series whose sum the closed form is.
    number = {k: sum(beta**j for j in range(found.count(k))) for k in set(found)}
    products = [weights[label] * number[label] for label in number]
    assert products == pytest.approx([products[0]] * len(products))
    assert sum(weights[label] for label in found) == pytest.approx(len(found))
    assert all(weights[label] == 0 for label in set(range(10)) - set(found))


@given(labels)
def test_beta_leads_from_no_weights_to_balanced_ones(found):
    none = class_weights(found, beta=0)
    assert [none[label] for label in set(found)] == pytest.approx([1] * len(set(found)))
    nearly = class_weights(found, beta=1 - 1e-9)
    assert list(nearly.values()) == pytest.approx(list(class_weights(found).values()), rel=1e-4)


@pytest.mark.parametrize("beta", [-0.1, 1.1, float("nan")])
def test_a_beta_out_of_its_range_is_refused(beta):
    with pytest.raises(ConfigurationError, match=r"beta=.*: expected a number from 0 to 1"):
        class_weights([0, 1], beta=beta)
