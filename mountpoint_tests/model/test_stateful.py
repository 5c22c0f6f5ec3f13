"""Ten thousand steps at random: whatever happens, no interrupt is lost and all files agree."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable

from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from fakeproc.files.host.state import state
from fakeproc.files.text.bitmap import format_list
from fakeproc.files.tree import Attribute, Directory
from fakeproc.guest.hv.channel import Channel, ChannelState, VmbusDevice
from fakeproc.host.devices import HostChannelState
from fakeproc.timeline import MILLISECOND, SECOND

from .guests import captured_guest, interrupt_rows, node_at, write

CPUS = "/sys/devices/system/cpu"
RUNS, STEPS = 260, 50  # of which hypothesis takes some fewer: ten thousand in all
MOST_DEVICES = 16

# Which refusals a step may meet, and no other.
MOVE = {"EINVAL", "EIO"}
OFFLINE = {"EBUSY"}
BIND = {"ENODEV", "EBUSY"}

CPU = st.integers(0, 7)
SETS_OF_CPUS = st.sets(CPU, min_size=1, max_size=8)
ANY = st.integers(0, 10_000)  # the how manieth of those that are there, counted round

steps: Counter[str] = Counter()


class Guest(RuleBasedStateMachine):
    """A guest that things happen to; after each of them everything is looked at."""

    def __init__(self) -> None:
        super().__init__()
        self.machine = captured_guest("boot-8cpu")
        self.kernel = self.machine.kernel
        self.vmbus = self.kernel.vmbus
        self.files: dict[str, tuple[object, Callable[[], bytes]]] = {}
        self.rescinded: list[Channel] = []
        self.freed = 0  # counted by interrupts that are gone
        self.alive: dict[int, tuple[object, int]] = {}
        self.sent_before: dict[int, tuple[Channel, int]] = {}

    # What there is

    @property
    def channels(self) -> list[Channel]:
        return list(self.vmbus.channels.values())

    @property
    def devices(self) -> list[VmbusDevice]:
        return list(self.vmbus.devices.values())

    def text(self, path: str, owner: object = None) -> str:
        """What a file reads; as long as its owner lives it is looked up once."""
        known = self.files.get(path)
        if known is None or owner is None or known[0] is not owner:
            node = node_at(self.machine, path)
            assert isinstance(node, Attribute), path
            assert node.show is not None, path
            known = self.files[path] = owner, node.show
        return known[1]().decode()

    def names(self, path: str) -> set[str]:
        """The directories in a directory; none where it is not there (yet)."""
        node = node_at(self.machine, path)
        children = node.children() if isinstance(node, Directory) else ()
        return {name for name, kind in children if kind is Directory}

    def device_path(self, device: VmbusDevice) -> str:
        return f"/sys/devices/{self.machine.profile.vmbus.parent}/{device.name}"

    def cpu_file(self, channel: Channel) -> str:
        return f"{self.device_path(channel.device)}/channels/{channel.relid}/cpu"

    def shows(self, channel: Channel) -> bool:
        """Whether channels/<relid> is there: not before it is added, nor when its device goes."""
        device = channel.device
        there = channel.kobject is not None and "channels" in device.children
        return there and device in self.devices

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
        shown = [channel for channel in self.channels if self.shows(channel)]
        channel = shown[which % len(shown)]
        self.write(self.cpu_file(channel), str(cpu), MOVE)

    def evacuate(self, cpu: int, to: int) -> None:
        for channel in self.channels:
            if channel.target_cpu == cpu and self.shows(channel):
                self.write(self.cpu_file(channel), str(to), MOVE)

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
        there = [c for c in self.channels if c.relid in self.announced and c not in self.rescinded]
        if len(there) > 5:
            steps["rescind"] += 1
            self.rescinded.append(there[which % len(there)])
            self.console("rescind", str(self.rescinded[-1].relid))

    @property
    def announced(self) -> set[int]:
        """Relids that the host has not begun to take back."""
        return {
            channel.relid
            for device in self.machine.host.devices
            for channel in device.channels
            if channel.state in {HostChannelState.OFFERED, HostChannelState.OPEN}
        }

    @rule(which=ANY, back=st.booleans())
    def unbind_or_bind(self, which: int, back: bool) -> None:
        steps["bind"] += 1
        device = self.devices[which % len(self.devices)]
        bus = self.vmbus.bus
        matching = (each for each in bus.drivers.values() if bus.match(device, each))
        driver = device.driver or next(matching, None)
        if driver is not None:
            file = "bind" if back else "unbind"
            self.write(f"/sys/bus/vmbus/drivers/{driver.name}/{file}", device.name, BIND)

    # CPUs

    @rule(cpu=st.integers(1, 7), to=st.none() | CPU)
    def take_offline(self, cpu: int, to: int | None) -> None:
        """With its channels moved away before, or not."""
        if to is not None:
            self.evacuate(cpu, to)
        file = f"{CPUS}/cpu{cpu}/online"
        # hotplug/target takes a CPU away, or brings it, without a change here.
        is_what_it_reads = self.text(file) == f"{self.kernel.cpus.is_online(cpu):d}\n"
        was_online = self.kernel.cpus.is_online(cpu)
        holders = [c.relid for c in self.channels if c.target_cpu == cpu]
        went = self.write(file, "0", OFFLINE)
        steps[("offline" if went else "offline refused") if was_online else "offline again"] += 1
        assert went != bool(holders) or not is_what_it_reads, holders

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
    def holds(self) -> None:
        self.no_channel_is_on_a_cpu_that_is_offline()
        self.every_interrupt_sent_is_counted()
        self.the_table_has_the_cpus_that_are_online()
        self.there_are_no_orphans()
        self.all_views_of_a_channel_agree()

    def no_channel_is_on_a_cpu_that_is_offline(self) -> None:
        online = self.kernel.cpus.online
        assert [c.relid for c in self.channels if not online >> c.target_cpu & 1] == []
        hosts = self.machine.host.relids.taken.values()
        assert [c.relid for c in hosts if c.open and not online >> c.target_vp & 1] == []

    def every_interrupt_sent_is_counted(self) -> None:
        """In the interrupt's row, in its place in /proc/stat, and in the total."""
        descs = self.kernel.irqs.descs
        for channel in self.channels:
            host = self.machine.host.relids.taken[channel.relid]
            # A sub-channel that was closed and is offered again is the same one to the host.
            sent = host.sent - self.sent_before.setdefault(id(channel), (channel, host.sent))[1]
            assert channel.desc.total == sum(channel.desc.counts.values()) == sent, channel.relid
        for irq, (desc, total) in self.alive.items():
            if descs.get(irq) is not desc:
                self.freed += total
        self.alive = {irq: (desc, desc.total) for irq, desc in descs.items()}
        intr = self.text("/proc/stat").split("\nintr ")[1].split("\n")[0].split()
        assert {irq: int(n) for irq, n in enumerate(intr[1:]) if n != "0"} == {
            irq: total for irq, (_, total) in self.alive.items() if total
        }
        messages = self.kernel.accounting.arch["HYP"][0]
        counted = sum(total for _, total in self.alive.values())
        assert int(intr[0]) == counted + self.freed + messages

    def the_table_has_the_cpus_that_are_online(self) -> None:
        """And the rows that it should have, with what each CPU has counted."""
        online = [cpu for cpu in range(8) if self.kernel.cpus.is_online(cpu)]
        table = self.text("/proc/interrupts")
        assert table.splitlines()[0].split() == [f"CPU{cpu}" for cpu in online]
        assert self.text(f"{CPUS}/online") == f"{format_list(self.kernel.cpus.online)}\n"
        rows = {label: row for label, row in interrupt_rows(table).items() if label.isdigit()}
        requested = [desc for desc in self.kernel.irqs.descs.values() if desc.actions]
        assert rows.keys() == {str(desc.irq) for desc in requested}
        for desc in requested:
            row, counts = rows[str(desc.irq)], desc.counts
            assert row.counts == [counts.get(cpu, 0) for cpu in online], desc.irq
            assert (row.chip, row.name) == (desc.chip.name, ", ".join(desc.actions))
            assert row.hwirq.split("-")[0] == str(desc.hwirq)

    def all_views_of_a_channel_agree(self) -> None:
        irqs = state(self.machine)["irqs"]
        requested = self.names("/proc/irq")
        for device in self.devices:
            mapping = [f"{c.relid}:{c.target_cpu}" for c in device.channels]
            path = f"{self.device_path(device)}/channel_vp_mapping"
            assert sorted(self.text(path, device).split()) == sorted(mapping)
            for channel in device.channels:
                cpu, desc = channel.target_cpu, channel.desc
                if self.shows(channel):
                    assert self.text(self.cpu_file(channel), channel) == f"{cpu}\n"
                assert irqs[str(desc.irq)]["effective_affinity"] == [cpu]
                if str(desc.irq) in requested:
                    self.affinity_agrees(channel, cpu)

    def affinity_agrees(self, channel: Channel, cpu: int) -> None:
        files, desc = f"/proc/irq/{channel.desc.irq}", channel.desc
        assert self.text(f"{files}/effective_affinity_list", desc) == f"{cpu}\n"
        assert self.text(f"{files}/effective_affinity", desc) == f"{1 << cpu:02x}\n"
        allowed = int(self.text(f"{files}/smp_affinity", desc), 16)
        assert self.text(f"{files}/smp_affinity_list", desc) == f"{format_list(allowed)}\n"
        assert channel.state is not ChannelState.OPENED or allowed >> cpu & 1

    def there_are_no_orphans(self) -> None:
        """Every interrupt is of a channel, every channel of a device, and the other way round."""
        descs = self.kernel.irqs.descs
        mapped = {desc.hwirq: desc for desc in descs.values() if desc.chip is self.vmbus.chip}
        assert mapped == {channel.relid: channel.desc for channel in self.channels}
        assert all(descs[desc.irq] is desc for desc in mapped.values())
        assert all(channel in channel.device.channels for channel in self.channels)
        of_devices = [c for device in self.devices for c in device.channels]
        assert [c.relid for c in of_devices if self.vmbus.channels.get(c.relid) is not c] == []
        in_tree = {
            int(relid)
            for device in self.devices
            if "channels" in device.children
            for relid in self.names(f"{self.device_path(device)}/channels")
        }
        assert in_tree == {channel.relid for channel in self.channels if self.shows(channel)}
        assert mapped.keys() <= self.machine.host.relids.taken.keys()

    def teardown(self) -> None:
        """In the end the host has heard of everything: it and the guest agree."""
        self.machine.advance(2 * SECOND)
        self.holds()
        # A sub-channel may outlive its device by what its own rescind takes.
        assert [c.relid for c in self.channels if c.device not in self.devices] == []
        assert self.vmbus.connection.modify_completed == self.vmbus.connection.modify_sent
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
        phases=[Phase.generate],  # making a failure small would take longer than a test may
        deadline=None,
        database=None,
        suppress_health_check=list(HealthCheck),
    )
    run("runTest").runTest()
    assert sum(steps.values()) > 10_000, steps
    assert min(steps[kind] for kind in ("offline", "offline refused", "offer", "rescind")) > 100


def test_an_offer_withdrawn_on_its_way_is_not_delivered_with_the_next_one(captured) -> None:
    """Found above: two channels of one relid, after unbind and bind in quick succession."""
    vmbus = captured.kernel.vmbus
    device = vmbus.channels[15].device
    for file in ("unbind", "bind", "unbind", "bind"):
        path = f"/sys/bus/vmbus/drivers/hv_storvsc/{file}"
        assert write(captured, path, device.name.encode()) == len(device.name)
    captured.advance(SECOND)
    assert [channel.relid for channel in device.channels] == [15, 24]
    assert device.channels[1] is vmbus.channels[24]
