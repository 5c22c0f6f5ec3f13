"""lsblk and lsscsi list the disks of the guest, and none of this computer's."""

from __future__ import annotations

from programs import program

OPTIONS = ("--clock=manual", "--profile=azure-d64")


def test_lsblk_and_lsscsi_list_the_disks_of_the_guest(any_run) -> None:
    for name in ("lsblk", "lsscsi"):
        program(name)
    lines = any_run.shell(
        "lsblk --noheadings -o NAME,MAJ:MIN,SIZE,PHY-SEC,LOG-SEC,ROTA,TYPE,VENDOR,HCTL; lsscsi",
        OPTIONS,
    ).splitlines()
    assert [line.split() for line in lines] == [
        *(
            f"{name} {numbers} {size} 4096 512 1 disk Msft {unit}".split()
            for name, numbers, size, unit in (
                ("sda", "8:0", "30G", "0:0:0:0"),
                ("sdb", "8:16", "512G", "0:0:0:1"),
                ("sdc", "8:32", "1T", "1:0:0:0"),
            )
        ),
        *(
            f"[{unit}] disk Msft Virtual Disk 1.0 -".split()
            for unit in ("0:0:0:0", "0:0:0:1", "1:0:0:0")
        ),
    ]
