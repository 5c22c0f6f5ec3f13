"""The recorded rescinds and offers (resc-8cpu) step by step, with files held open meanwhile."""

from __future__ import annotations

import pytest

from .captures import rows
from .guests import FCOPY
from .test_fire_replay import Rig, replay

pytestmark = pytest.mark.every_kernel

CAPTURE = "resc-8cpu"


@pytest.mark.differs("6.1", FCOPY)
def test_every_recorded_rescind_and_offer_does_what_it_did() -> None:
    kinds, unexplained, needed = replay(Rig(rows(CAPTURE)))
    assert not unexplained, "\n".join(unexplained)
    steps = {
        kind: kinds[kind]
        for kind in ("host", "uevents", "interrupts", "readdir", "fd", "node", "state", "newid")
    }
    assert steps == {
        "host": 24, "uevents": 20, "interrupts": 14, "readdir": 7, "fd": 20, "node": 443,
        "state": 22, "newid": 2,
    }  # fmt: skip
    assert needed.keys() == {
        "a store to `cpu` returns the count",
        "a vPCI bus names its interrupt after its domain",
        "storvsc is a SCSI host",
        "uio_hv_generic opens a channel when /dev/uio<n> is opened",
    }
