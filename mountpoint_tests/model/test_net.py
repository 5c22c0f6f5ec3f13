"""Network interfaces, devices left to user space, and what both are to sysfs."""

from __future__ import annotations

from collections.abc import Callable
from errno import EINVAL, ENOENT, EOPNOTSUPP, EOVERFLOW

import pytest

from fakeproc import Machine, profiles

NETVSC = "0022486b-1fa4-0022-486b-1fa40022486b"
ETH0 = "/sys/class/net/eth0"
DEVICE = f"/sys/bus/vmbus/devices/{NETVSC}"


def guest(profile: object = "hyperv-gen2") -> Machine:
    machine = Machine(profile, clock="manual")
    machine.advance(3)
    return machine


def refusal(request: Callable[..., object], *arguments: str) -> int | None:
    """The errno with which a request fails."""
    try:
        request(*arguments)
    except OSError as error:
        return error.errno
    return None


@pytest.fixture
def machine() -> Machine:
    return guest()


def rebind(machine: Machine, driver: str, *, to: str) -> None:
    """As DPDK's instructions for a netvsc say."""
    machine.write(f"/sys/bus/vmbus/drivers/{driver}/unbind", NETVSC)
    machine.write(f"{DEVICE}/driver_override", to)
    machine.write(f"/sys/bus/vmbus/drivers/{to}/bind", NETVSC)
    machine.advance(1)


def queues(machine: Machine) -> list[str]:
    return sorted(machine.list(f"{ETH0}/queues"))


def told(machine: Machine) -> list[str]:
    """The uevents so far, as "action path"."""
    lines = machine.read("/host/uevents").splitlines()
    return [" ".join(line.split()[1:3]) for line in lines if line.startswith("KERNEL")]


# The interface of an adapter ---------------------------------------------------------------------


def test_an_adapter_is_found_by_its_interface_and_the_interface_by_its_adapter(machine):
    assert machine.list("/sys/class/net") == ["lo", "eth0"]
    assert machine.list(f"{DEVICE}/net") == ["eth0"]
    assert machine.readlink(f"{ETH0}/device") == f"../../../{NETVSC}"
    assert machine.readlink("/sys/class/net/lo") == "../../devices/virtual/net/lo"


@pytest.mark.parametrize(
    ("file", "eth0", "lo"),
    [
        ("address", "00:22:48:6b:1f:a4\n", "00:00:00:00:00:00\n"),
        ("broadcast", "ff:ff:ff:ff:ff:ff\n", "00:00:00:00:00:00\n"),
        ("carrier", "1\n", "1\n"),
        ("flags", "0x1003\n", "0x9\n"),
        ("ifindex", "2\n", "1\n"),
        ("mtu", "1500\n", "65536\n"),
        ("operstate", "up\n", "unknown\n"),
        ("speed", "10000\n", EINVAL),
        ("duplex", "full\n", EINVAL),
        ("type", "1\n", "772\n"),
        ("phys_port_id", EOPNOTSUPP, EOPNOTSUPP),
        ("uevent", "INTERFACE=eth0\nIFINDEX=2\n", "INTERFACE=lo\nIFINDEX=1\n"),
        ("queues/rx-0/rps_cpus", "00\n", "00\n"),
        ("queues/tx-0/xps_cpus", "00\n", ENOENT),
        ("queues/tx-0/traffic_class", "0\n", ENOENT),
        ("queues/tx-0/tx_maxrate", "0\n", "0\n"),
    ],
)
def test_an_interface_says_what_it_is(machine, file, eth0, lo):
    for name, expected in (("eth0", eth0), ("lo", lo)):
        path = f"/sys/class/net/{name}/{file}"
        if isinstance(expected, str):
            assert machine.read(path) == expected
        else:
            assert refusal(machine.read, path) == expected


def test_an_interface_has_a_queue_each_way_for_each_channel(machine):
    eight = sorted(f"{way}-{number}" for way in ("rx", "tx") for number in range(8))
    assert queues(machine) == eight
    machine.write("/host/ethtool", f"{NETVSC} combined 3")
    machine.advance(1)
    assert queues(machine) == ["rx-0", "rx-1", "rx-2", "tx-0", "tx-1", "tx-2"]
    machine.write("/host/ethtool", f"{NETVSC} combined 1")
    machine.advance(1)
    assert queues(machine) == ["rx-0", "tx-0"]


@pytest.mark.parametrize(
    ("file", "written", "answer"),
    [
        ("queues/rx-0/rps_cpus", "a5", "a5\n"),
        ("queues/rx-0/rps_cpus", "0", "00\n"),
        ("queues/rx-0/rps_cpus", "100", EOVERFLOW),
        ("queues/rx-0/rps_cpus", "x", EINVAL),
        ("queues/rx-7/rps_flow_cnt", "1000", "1024\n"),
        ("queues/rx-7/rps_flow_cnt", "-1", EINVAL),
        ("queues/tx-7/xps_cpus", "ff", "ff\n"),
        ("queues/tx-7/xps_cpus", "g", EINVAL),
        ("queues/tx-7/tx_maxrate", "100", EOPNOTSUPP),
        ("mtu", "9000", "9000\n"),
        ("mtu", "0x2000", "8192\n"),
        ("mtu", "67", EINVAL),
        ("mtu", "65522", EINVAL),
        ("tx_queue_len", "500", "500\n"),
        ("ifalias", "uplink", "uplink\n"),
        ("ifalias", "x" * 256, EINVAL),
        ("flags", "0x1103", "0x1103\n"),
        ("carrier", "0", EOPNOTSUPP),
    ],
)
def test_what_is_written_is_stored_or_refused(machine, file, written, answer):
    path = f"{ETH0}/{file}"
    if isinstance(answer, str):
        machine.write(path, written)
        assert machine.read(path) == answer
        return
    before = machine.read(path)
    assert refusal(machine.write, path, written) == answer
    assert machine.read(path) == before


def test_an_interface_that_is_switched_off_has_no_carrier(machine):
    machine.write(f"{ETH0}/flags", "0x1002")
    assert machine.read(f"{ETH0}/operstate") == "down\n"
    assert refusal(machine.read, f"{ETH0}/carrier") == EINVAL
    machine.write(f"{ETH0}/flags", "0x1003")
    assert machine.read(f"{ETH0}/carrier_changes") == "4\n"


def test_another_mtu_closes_every_channel_and_opens_it_again(machine):
    before = machine.read("/host/log")
    machine.write(f"{ETH0}/mtu", "4000")
    machine.advance(1)
    assert len(queues(machine)) == 16
    events = told(machine)
    assert any(event.startswith("remove") and "/channels/" in event for event in events)
    assert machine.read("/host/log").startswith(before)


def test_an_isolated_cpu_handles_no_packets_of_others():
    profile = profiles.load("hyperv-gen2")
    kernel = profile.kernel.model_copy(update={"cmdline": "isolcpus=6,7"})
    machine = guest(profile.model_copy(update={"kernel": kernel}))
    assert refusal(machine.write, f"{ETH0}/queues/rx-0/rps_cpus", "c0") == EINVAL
    machine.write(f"{ETH0}/queues/rx-0/rps_cpus", "ff")
    assert machine.read(f"{ETH0}/queues/rx-0/rps_cpus") == "3f\n"


def test_packets_are_the_interrupts_of_the_channels(machine):
    statistics = f"{ETH0}/statistics"
    before = int(machine.read(f"{statistics}/rx_packets"))
    machine.traffic("all", 0)
    relid = int(machine.read(f"{DEVICE}/id"))
    machine.interrupt(relid, 1000)
    assert int(machine.read(f"{statistics}/rx_packets")) - before == 1000
    assert int(machine.read(f"{statistics}/rx_bytes")) == 64 * (before + 1000)
    assert machine.read(f"{statistics}/rx_errors") == "0\n"


def test_udev_hears_of_an_interface_then_of_its_queues_and_in_the_other_order(machine):
    machine.write("/sys/bus/vmbus/drivers/hv_netvsc/unbind", NETVSC)
    events = [event.partition(f"{NETVSC}/") for event in told(machine)]
    own = [f"{action.split()[0]} {rest}" for action, _, rest in events if rest.startswith("net/")]
    assert own[:3] == ["add net/eth0", "add net/eth0/queues/rx-0", "add net/eth0/queues/tx-0"]
    assert own[-3:] == [
        "remove net/eth0/queues/tx-1",
        "remove net/eth0/queues/tx-0",
        "remove net/eth0",
    ]
    assert "net" not in machine.list(DEVICE)


def test_a_renamed_interface_is_another_directory(machine):
    machine.write("/host/ethtool", f"{NETVSC} name wan")
    assert machine.list("/sys/class/net") == ["lo", "wan"]
    assert machine.readlink("/sys/class/net/wan/device") == f"../../../{NETVSC}"
    assert any(event.startswith("move ") and event.endswith("/net/wan") for event in told(machine))


def test_a_name_is_free_again_and_the_number_is_not(machine):
    rebind(machine, "hv_netvsc", to="uio_hv_generic")
    machine.write(f"{DEVICE}/driver_override", "\n")
    machine.write("/sys/bus/vmbus/drivers/uio_hv_generic/unbind", NETVSC)
    machine.write("/sys/bus/vmbus/drivers/hv_netvsc/bind", NETVSC)
    machine.advance(1)
    assert machine.list("/sys/class/net") == ["lo", "eth0"]
    assert machine.read(f"{ETH0}/ifindex") == "3\n"
    assert len(queues(machine)) == 16


def test_addresses_without_one_in_the_guid_are_microsofts_and_differ():
    machine = guest("hyperv-max")
    names = machine.list("/sys/class/net")[1:]
    addresses = {machine.read(f"/sys/class/net/{name}/address") for name in names}
    assert len(addresses) == len(names) == 8
    assert all(address.startswith("00:15:5d:") for address in addresses)


# Accelerated networking --------------------------------------------------------------------------


@pytest.mark.parametrize("pci", ["nic", "mana"])
def test_an_accelerated_interface_has_a_lower_one_of_the_same_address(machine, pci):
    machine.write("/host/offer", f"vpci guid=47505500-c05b-0000-3130-444531454238 pci={pci}")
    machine.advance(1)
    lower = "enP49243s1"
    assert machine.readlink(f"{ETH0}/lower_{lower}").endswith(f"c05b:00:0{2 if pci == 'nic' else 0}"
                                                              f".0/net/{lower}")  # fmt: skip
    for name in ("master", "upper_eth0"):
        assert machine.readlink(f"/sys/class/net/{lower}/{name}").endswith("/net/eth0")
    addresses = {machine.read(f"/sys/class/net/{name}/address") for name in ("eth0", lower)}
    assert addresses == {"00:22:48:6b:1f:a4\n"}
    machine.write("/host/rescind", "47505500-c05b-0000-3130-444531454238")
    machine.advance(1)
    assert machine.list("/sys/class/net") == ["lo", "eth0"]
    assert f"lower_{lower}" not in machine.list(ETH0)


def test_a_profile_with_accelerated_networking_has_both_interfaces():
    machine = guest("azure-d64")
    assert machine.list("/sys/class/net") == ["lo", "eth0", "enP49243s1"]
    assert "lower_enP49243s1" in machine.list(ETH0)


def test_mana_has_an_interrupt_for_itself_and_one_for_each_queue(machine):
    machine.write("/host/offer", "vpci guid=7870abcd-0005-0000-7870-000000000000 pci=mana")
    machine.advance(1)
    table = machine.read("/proc/interrupts")
    assert table.count("mana_hwc@pci:0005:00:00.0\n") == 1
    assert [f"mana_q{queue}@pci:0005:00:00.0\n" in table for queue in range(9)] == [True] * 8 + [
        False
    ]
    function = "/sys/bus/pci/devices/0005:00:00.0"
    assert machine.read(f"{function}/device") == "0x00ba\n"
    assert machine.readlink(f"{function}/driver").endswith("/mana")


# A device left to user space ---------------------------------------------------------------------


def test_an_adapter_that_is_rebound_is_an_uio_device_and_no_interface(machine):
    rebind(machine, "hv_netvsc", to="uio_hv_generic")
    assert machine.list("/sys/class/net") == ["lo"]
    assert machine.list("/sys/class/uio") == machine.list(f"{DEVICE}/uio") == ["uio0"]
    uio = f"{DEVICE}/uio/uio0"
    assert machine.read(f"{uio}/name") == "uio_hv_generic\n"
    assert machine.read(f"{uio}/dev") == "246:0\n"
    assert machine.read(f"{uio}/uevent") == "MAJOR=246\nMINOR=0\nDEVNAME=uio0\n"
    maps = {name: machine.read(f"{uio}/maps/{name}/name") for name in machine.list(f"{uio}/maps")}
    assert list(maps) == ["map0", "map1", "map2", "map3", "map4"]
    assert [name.split(":")[0].strip() for name in maps.values()] == [
        "txrx_rings",
        "int_page",
        "monitor_page",
        "recv",
        "send",
    ]
    assert int(machine.read(f"{uio}/maps/map0/size"), 0) == 4 << 20
    assert any(event.endswith(f"{NETVSC}/uio/uio0") for event in told(machine))


def test_a_device_that_is_no_adapter_has_no_buffers(machine):
    mouse = "58f75a6d-d949-4320-99e1-a2a2576d581c"
    machine.write("/sys/bus/vmbus/drivers/hid_hyperv/unbind", mouse)
    machine.write(f"/sys/bus/vmbus/devices/{mouse}/driver_override", "uio_hv_generic")
    machine.write("/sys/bus/vmbus/drivers/uio_hv_generic/bind", mouse)
    assert machine.list("/sys/class/uio/uio0/maps") == ["map0", "map1", "map2"]
    machine.write("/sys/bus/vmbus/drivers/uio_hv_generic/unbind", mouse)
    assert machine.list("/sys/class/uio") == []
