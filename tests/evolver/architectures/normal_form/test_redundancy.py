"""Slots that do nothing are named, once each, and no other."""

from __future__ import annotations

from evolver.architectures.genome import Activation, Convolution, Dropout, Genome, InnerProduct, Pooling, Slot, Training
from evolver.architectures.normal_form.redundancy import idle_slots
from evolver.architectures.space import Space, suited

SPACE: Space = suited((1, 8, 8), 10, training_images=1000, cuda=False, feature_slots=6, classifier_slots=3, max_epochs=3)
TRAINING = Training("sgd", 0.1, 0.0, 32, 1)
CONVOLUTION = Convolution(8, 3, 3, 1, 1, "half")


def _genome(*features: Slot, classifier: tuple[Slot, ...] = ()) -> Genome:
    return Genome(features, classifier, TRAINING)


def test_what_changes_nothing_is_named_by_its_slot() -> None:
    genome = _genome(
        Slot(True, CONVOLUTION),
        Slot(True, Activation("relu")),
        Slot(True, Activation("relu")),
        Slot(True, Pooling("max", 1, 1, 1, 1)),
        Slot(True, Dropout(0.0)),
        Slot(False, Pooling("max", 2, 2, 2, 2)),
        classifier=(Slot(True, InnerProduct(16)), Slot(True, Activation("sigmoid")), Slot(True, Activation("relu"))),
    )
    assert idle_slots(genome, SPACE) == (
        "feature slot 2 (activation)",
        "feature slot 4 (pooling)",
        "feature slot 5 (dropout)",
        "classifier slot 3 (activation)",
    )


def test_a_genome_in_which_every_slot_does_something_has_none() -> None:
    genome = _genome(Slot(True, CONVOLUTION), Slot(True, Activation("relu")), Slot(True, Pooling("max", 2, 2, 2, 2)))
    assert idle_slots(genome, SPACE) == ()
