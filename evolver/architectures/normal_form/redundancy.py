"""Name the slots of a genome that do nothing, as the normal form is the same without them."""

from __future__ import annotations

from evolver.architectures.genome import Genome, Slot
from evolver.architectures.normal_form.canonical import canonical
from evolver.architectures.space import Space


def idle_slots(genome: Genome, space: Space) -> tuple[str, ...]:
    """Return the slots that are on but have no effect, such as "feature slot 3 (dropout)", counted from 1.

    If two slots do the same work, one is named: each is removed before the next is examined.
    """
    normal, idle = canonical(genome, space), []
    slots = [*genome.features, *genome.classifier]
    border = len(genome.features)
    for number, slot in enumerate(slots):
        if not slot.on:
            continue
        slots[number] = Slot(False, slot.layer)
        without = Genome(tuple(slots[:border]), tuple(slots[border:]), genome.training)
        if _normal_or_none(without, space) == normal:
            place = f"feature slot {number + 1}" if number < border else f"classifier slot {number - border + 1}"
            idle.append(f"{place} ({slot.layer.op})")
        else:
            slots[number] = slot
    return tuple(idle)


def _normal_or_none(genome: Genome, space: Space) -> Genome | None:
    try:
        return canonical(genome, space)
    except ValueError:  # without the slot, a later window does not fit
        return None
