"""/proc/interrupts read back: rows as kernels and chips of many kinds print them."""

from __future__ import annotations

from pathlib import Path

import pytest

import fakeproc
from fakeproc.interrupts_table import Row, Table, TableError

HEAD = "           CPU0       CPU3\n"
RECORDED = Path(__file__).resolve().parent.parent / "golden/stock/texts"


@pytest.mark.parametrize(
    ("line", "row"),
    [
        (
            "  8:          0          0   IO-APIC   8-edge      rtc0",
            Row("8", (0, 0), "IO-APIC", 8, "edge", ("rtc0",)),
        ),
        (
            " 39:       2375          7     VMBus  19  netvsc",
            Row("39", (2375, 7), "VMBus", 19, "", ("netvsc",)),
        ),
        (
            " 11:          1          0     GICv3  27 Level     arch_timer",
            Row("11", (1, 0), "GICv3", 27, "Level", ("arch_timer",)),
        ),
        (
            " 26:          1          0  PCI-MSI-0000:00:1f.2   0-edge      ahci[0000:00:1f.2]",
            Row("26", (1, 0), "PCI-MSI-0000:00:1f.2", 0, "edge", ("ahci[0000:00:1f.2]",)),
        ),
        (
            " 48:          0          0   xen-dyn    -event     vif0.0, vif1.0",
            Row("48", (0, 0), "xen-dyn", None, "event", ("vif0.0", "vif1.0")),
        ),
        (
            " 63:          1          2   IR-PCI-MSI-edge      ib_mthca (comp)",
            Row("63", (1, 2), "IR-PCI-MSI", None, "edge", ("ib_mthca (comp)",)),
        ),
        (
            "  8:          5          0  sep4020 Timer  Tick",
            Row("8", (5, 0), "sep4020 Timer", None, "", ("Tick",)),
        ),
        (
            "129:          5          0   PCI-MSI 8796093546496-edge      x",
            Row("129", (5, 0), "PCI-MSI", 8796093546496, "edge", ("x",)),
        ),
        ("  9:          5          0", Row("9", (5, 0))),
        (
            "  7:          1          2          3  -  timer",
            Row("7", (1, 2, 3), "-", None, "", ("timer",)),
        ),
        (
            "IPI0:2768808080 0       Rescheduling interrupts",
            Row("IPI0", (2768808080, 0), text="Rescheduling interrupts"),
        ),
        (
            "NMI:          0          1   Non-maskable interrupts",
            Row("NMI", (0, 1), text="Non-maskable interrupts"),
        ),
        ("ERR:          3", Row("ERR", (3,))),
        ("Err:", Row("Err", ())),
    ],
)
def test_a_row(line: str, row: Row) -> None:
    assert Table.parse(f"{HEAD}{line}\n").rows == (row,)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "line 1: no row of CPUs"),
        ("CPU0 CPUx\n", "line 1: no row of CPUs"),
        (f"{HEAD}no colon\n", "line 2: no label before a colon"),
        (f"{HEAD}\n: 1 2\n", "line 3: no label before a colon"),
        (f"{HEAD} 8: {'9' * 21} 0 x\n", "line 2: a count of more than 20 digits"),
    ],
)
def test_what_is_no_table(text: str, said: str) -> None:
    with pytest.raises(TableError) as error:
        Table.parse(text)
    assert str(error.value) == said


@pytest.mark.parametrize(
    "path", sorted(RECORDED.glob("*/interrupts-*.txt")), ids=lambda p: p.parts[-2]
)
def test_recorded_tables_are_read_whole(path: Path) -> None:
    table = Table.parse(path.read_text())
    assert len(table.rows) == len(path.read_text().splitlines()) - 1
    assert all(row.chip and row.hwirq is not None for row in table.irqs.values())


@pytest.mark.parametrize("kernel", ["rfc", "6.1", "7.2"])
@pytest.mark.parametrize("profile", ["hyperv-gen2", "hyperv-arm64", "hyperv-gen1"])
def test_a_guests_table_says_what_its_state_says(profile: str, kernel: str) -> None:
    machine = fakeproc.Machine(profile, kernel=kernel)
    table, state = machine.interrupts(), machine.state()
    assert table.cpus == state.online
    for number, row in table.irqs.items():
        irq = state.irqs[number]
        assert (row.chip, row.hwirq, row.actions) == (irq.chip, irq.hwirq, irq.actions)
        assert {cpu: count for cpu, count in table.by_cpu(row).items() if count} == irq.counts
    assert table.arch
