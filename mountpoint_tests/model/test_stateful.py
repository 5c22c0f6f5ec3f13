"""Ten thousand steps at random: whatever happens, no interrupt is lost and all files agree."""

from __future__ import annotations

import errno
import json
from collections import Counter
from typing import Any

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from fakeproc.files.bitmap import format_list
from fakeproc.guest.vmbus.channel import Channel, ChannelState, VmbusDevice
from fakeproc.timeline import MILLISECOND, SECOND

from .guests import captured_guest, channel_path, interrupt_rows, text, write

CPUS = "/sys/devices/system/cpu"
BUS = "/sys/bus/vmbus"
RUNS, STEPS = 100, 100  # ten thousand steps
MOST_DEVICES = 16

# Which refusals a step may meet, and nothing else.
MOVE = {"EINVAL", "EIO"}
OFFLINE = {"EBUSY"}
BIND = {"ENODEV", "EBUSY"}

CPU = st.integers(0, 7)
SETS_OF_CPUS = st.sets(CPU, min_size=1, max_size=8)
ANY = st.integers(0, 10_000)  # the how manieth of those that are there, counted round

steps: Counter[str] = Counter()


class Guest(RuleBasedStateMachine):
    """A guest, and how many interrupts its host has sent since it was booted."""

    def __init__(self) -> None:
        super().__init__()
        self.machine = captured_guest("boot-8cpu")
        self.kernel = self.machine.kernel
        self.vmbus = self.kernel.vmbus
        self.intr_at_boot = self.intr - sum(self.counted.values())
        self.dropped = 0  # counted by interrupts that are freed since

    # What there is

    @property
    def channels(self) -> list[Channel]:
        return list(self.vmbus.channels.values())

    @property
    def devices(self) -> list[VmbusDevice]:
        return list(self.vmbus.devices.values())

    @property
    def counted(self) -> dict[int, int]:
        return {desc.irq: desc.total for desc in self.kernel.irqs.descs.values()}

    @property
    def intr(self) -> int:
        """The first number of /proc/stat's `intr`, without the architecture's own."""
        total = int(text(self.machine, "/proc/stat").split("\nintr ")[1].split()[0])
        rows = interrupt_rows(text(self.machine, "/proc/interrupts"))
        assert set(rows["HYP"].counts[1:]) <= {0}, "control messages go to CPU 0"
        return total - rows["HYP"].counts[0]

    def write(self, path: str, data: str, refusals: set[str]) -> bool:
        """Whether it is taken; where it is not, it is refused in a way that is meant."""
        answer = write(self.machine, path, data.encode())
        assert answer == len(data) or answer in refusals, (path, data, answer)
        return answer == len(data)

    def console(self, name: str, command: str) -> None:
        self.write(f"/host/{name}", command, set())

    # Moves

    @rule(which=ANY, cpus=SETS_OF_CPUS)
    def move_by_mask(self, which: int, cpus: set[int]) -> None:
        steps["move"] += 1
        mask = f"{sum(1 << cpu for cpu in cpus):x}"
        self.write(f"/proc/irq/{self.an_irq(which)}/smp_affinity", mask, MOVE)

    @rule(which=ANY, cpus=SETS_OF_CPUS)
    def move_by_list(self, which: int, cpus: set[int]) -> None:
        steps["move"] += 1
        listed = format_list(sum(1 << cpu for cpu in cpus))
        self.write(f"/proc/irq/{self.an_irq(which)}/smp_affinity_list", listed, MOVE)

    @rule(which=ANY, cpu=CPU)
    def move_by_channel(self, which: int, cpu: int) -> None:
        steps["move"] += 1
        shown = [channel for channel in self.channels if channel.in_sysfs]
        channel = shown[which % len(shown)]
        path = f"{channel_path(self.machine, channel.relid)}/cpu"
        self.write(path, str(cpu), MOVE)

    @rule(cpu=CPU, to=CPU)
    def evacuate(self, cpu: int, to: int) -> None:
        """All channels of a CPU, so that some offlines are not refused."""
        steps["move"] += 1
        for channel in self.channels:
            if channel.target_cpu == cpu and channel.in_sysfs:
                path = f"{channel_path(self.machine, channel.relid)}/cpu"
                self.write(path, str(to), MOVE)

    def an_irq(self, which: int) -> int:
        shown = [desc.irq for desc in self.kernel.irqs.descs.values() if desc.in_proc]
        return shown[which % len(shown)]

    # Devices

    @precondition(lambda self: len(self.machine.host.devices) < MOST_DEVICES)
    @rule(
        kind=st.sampled_from(["netvsc", "scsi", "heartbeat", "fcopy", "hv_sock", "ide"]),
        subchannels=st.integers(0, 9),
    )
    def offer(self, kind: str, subchannels: int) -> None:
        steps["offer"] += 1
        known = {"heartbeat", "fcopy", "ide", "hv_sock"}
        more = "" if kind in known else f" subchannels={subchannels}"
        self.console("offer", f"{kind}{more}")

    @rule(which=ANY)
    def rescind(self, which: int) -> None:
        """A device or a sub-channel; its counts go with its interrupts."""
        there = [c for c in self.channels if not c.rescinded and c.relid in self.announced]
        if len(there) > 5:
            steps["rescind"] += 1
            self.console("rescind", str(there[which % len(there)].relid))

    @property
    def announced(self) -> set[int]:
        """Relids that the host has not begun to take back."""
        return {
            channel.relid
            for device in self.machine.host.devices
            for channel in device.channels
            if channel.announced
        }

    @rule(which=ANY, back=st.booleans())
    def unbind_or_bind(self, which: int, back: bool) -> None:
        steps["bind"] += 1
        device = self.devices[which % len(self.devices)]
        driver = device.driver or self.vmbus.driver_core.match(device)
        if driver is not None:
            file = "bind" if back else "unbind"
            self.write(f"{BUS}/drivers/{driver.name}/{file}", device.name, BIND)

    # CPUs

    @rule(cpu=st.integers(1, 7))
    def take_offline(self, cpu: int) -> None:
        holders = [c.relid for c in self.channels if c.target_cpu == cpu]
        went = self.write(f"{CPUS}/cpu{cpu}/online", "0", OFFLINE)
        steps["offline" if went else "offline refused"] += 1
        assert not (went and holders) or not self.kernel.cpus.is_online(cpu)

    @rule(cpu=st.integers(1, 7))
    def bring_online(self, cpu: int) -> None:
        steps["online"] += 1
        self.write(f"{CPUS}/cpu{cpu}/online", "1", set())

    @rule(cpu=st.integers(1, 7), state=st.sampled_from(["0", "236"]))
    def set_target(self, cpu: int, state: str) -> None:
        steps["target"] += 1
        self.write(f"{CPUS}/cpu{cpu}/hotplug/target", state, OFFLINE)

    # Host and time

    @rule(which=ANY, count=st.integers(1, 1000))
    def interrupt(self, which: int, count: int) -> None:
        steps["interrupt"] += 1
        channels = [c for c in self.channels if c.state is ChannelState.OPENED and not c.rescinded]
        self.console("interrupt", f"{channels[which % len(channels)].relid} {count}")

    @rule(count=st.integers(1, 50), irq=st.sampled_from([8, 9]))
    def interrupt_elsewhere(self, count: int, irq: int) -> None:
        steps["interrupt"] += 1
        self.kernel.raise_irq(irq, count)

    @rule(ack=st.sampled_from([0, 0.0003, 0.004, 0.02, 0.045]))
    def set_latency(self, ack: float) -> None:
        steps["latency"] += 1
        self.console("latency", f"ack {ack}")

    @rule(step=st.sampled_from([1, MILLISECOND // 20, MILLISECOND, 8 * MILLISECOND, SECOND]))
    def let_time_pass(self, step: int) -> None:
        steps["time"] += 1
        self.machine.advance(step)

    # What always holds

    @invariant()
    def no_channel_is_on_a_cpu_that_is_offline(self) -> None:
        online = self.kernel.cpus.online
        assert [c.relid for c in self.channels if not online >> c.target_cpu & 1] == []
        for host in self.machine.host.relids.taken.values():
            assert not host.open or online >> host.target_vp & 1, host.relid

    @invariant()
    def every_interrupt_sent_is_counted(self) -> None:
        for relid, host in self.machine.host.relids.taken.items():
            channel = self.vmbus.channels.get(relid)
            if channel is not None and channel.desc is not None:
                assert channel.desc.total == host.sent, relid
                assert sum(channel.desc.counts.values()) == host.sent, relid
        stat = text(self.machine, "/proc/stat").split("\nintr ")[1].split("\n")[0].split()
        assert stat[1:] == self.in_order(self.counted, len(stat) - 1)
        assert self.intr >= self.intr_at_boot + sum(self.counted.values())

    @staticmethod
    def in_order(counted: dict[int, int], nr_irqs: int) -> list[str]:
        return [str(counted.get(irq, 0)) for irq in range(nr_irqs)]

    @invariant()
    def the_table_has_the_cpus_that_are_online(self) -> None:
        online = [cpu for cpu in range(8) if self.kernel.cpus.is_online(cpu)]
        table = text(self.machine, "/proc/interrupts")
        assert table.splitlines()[0].split() == [f"CPU{cpu}" for cpu in online]
        assert text(self.machine, f"{CPUS}/online") == f"{format_list(self.kernel.cpus.online)}\n"
        rows = interrupt_rows(table)
        for desc in self.kernel.irqs.descs.values():
            assert (str(desc.irq) in rows) == bool(desc.actions)
            if desc.actions:
                assert rows[str(desc.irq)].counts == [desc.counts.get(cpu, 0) for cpu in online]
        stat = text(self.machine, "/proc/stat").splitlines()
        assert [line.split()[0] for line in stat[1 : 1 + len(online)]] == [f"cpu{n}" for n in online]

    @invariant()
    def all_views_of_a_channel_agree(self) -> None:
        shown: dict[str, Any] = json.loads(text(self.machine, "/host/state.json"))
        for device in self.devices:
            mapping = []
            for channel in device.channels:
                cpu, irq = channel.target_cpu, channel.desc.irq
                mapping.append(f"{channel.relid}:{cpu}")
                if channel.in_sysfs:
                    path = f"{channel_path(self.machine, channel.relid)}/cpu"
                    assert text(self.machine, path) == f"{cpu}\n"
                state = shown["irqs"][str(irq)]
                assert state["effective_affinity"] == [cpu]
                assert state["hwirq"] == channel.relid
                assert text(self.machine, f"/sys/kernel/irq/{irq}/hwirq") == f"{channel.relid}\n"
                if channel.desc.in_proc:
                    files = f"/proc/irq/{irq}"
                    assert text(self.machine, f"{files}/effective_affinity_list") == f"{cpu}\n"
                    assert int(text(self.machine, f"{files}/effective_affinity"), 16) == 1 << cpu
                    wanted = int(text(self.machine, f"{files}/smp_affinity"), 16)
                    # Not opened, it may never have been given its CPU.
                    assert channel.state is not ChannelState.OPENED or wanted >> cpu & 1
            path = f"{BUS}/devices/{device.name}/channel_vp_mapping"
            assert sorted(text(self.machine, path).split()) == sorted(mapping)

    @invariant()
    def there_are_no_orphans(self) -> None:
        rows = interrupt_rows(text(self.machine, "/proc/interrupts"))
        relids = {channel.relid for channel in self.channels}
        of_devices = {c.relid for device in self.devices for c in device.channels}
        in_table = {int(row.hwirq) for row in rows.values() if row.chip == "VMBus"}
        assert in_table <= relids == of_devices
        descs = self.kernel.irqs.descs
        for channel in self.channels:
            assert descs[channel.desc.irq] is channel.desc
        mapped = {desc.hwirq for desc in descs.values() if desc.chip is self.vmbus.chip}
        assert mapped == relids

    def teardown(self) -> None:
        """In the end the host has heard of everything: it and the guest agree."""
        self.machine.advance(2 * SECOND)
        assert self.vmbus.modifychannels_completed == self.vmbus.modifychannels_sent
        for channel in self.channels:
            host = self.machine.host.relids.taken[channel.relid]
            if channel.state is ChannelState.OPENED:
                assert host.target_vp == channel.target_cpu, channel.relid


def test_ten_thousand_steps_lose_no_interrupt_and_leave_no_channel_behind() -> None:
    steps.clear()
    run = Guest.TestCase
    run.settings = settings(
        max_examples=RUNS,
        stateful_step_count=STEPS,
        derandomize=True,
        deadline=None,
        database=None,
        suppress_health_check=list(HealthCheck),
    )
    run("runTest").runTest()
    assert sum(steps.values()) > RUNS * STEPS * 0.9, steps
    assert min(steps[kind] for kind in ("offline", "offline refused", "offer", "rescind")) > 100
    assert errno.EBUSY  # TODO
