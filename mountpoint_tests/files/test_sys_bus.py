"""sysfs is derived: a bus, a class and a driver that nothing else knows get their whole subtree."""

import errno

import pytest
from model.guests import stored, sys_node

from fakeproc import profiles
from fakeproc.files.sys.device import shows
from fakeproc.files.tree import Attribute, Attributes, Directory, Symlink
from fakeproc.guest.base.device import Bus, Device, DeviceDriver
from fakeproc.machine import Machine

TOYS = "/devices/box/shelf"


class Toy(Device):
    modalias = "toy:brick"


class ToyBus(Bus):
    """Whoever is bound plays a tune, which is a device of a class."""

    def __init__(self, devices):
        super().__init__("toy")
        self.kernels = devices

    def match(self, device, driver):
        return device.name.startswith(driver.name)

    def probe(self, driver, device):
        if device.name == "brick9":
            raise OSError(errno.EIO, "no batteries")
        device.drvdata = Device(
            f"tune{device.name[-1]}", device, class_=self.kernels.class_of("tune")
        )
        yield from self.kernels.register(device.drvdata)

    def remove(self, driver, device):
        yield from self.kernels.remove(device.drvdata)


COLOUR = Attributes()


@COLOUR.show
def colour_show(_toy):
    return "red\n"


@shows(Toy)
def toy_files(_kernel, toy):
    return Directory((COLOUR.on(toy),))


@pytest.fixture
def machine():
    machine = Machine(profiles.load("hyperv-gen2"), "manual")
    machine.kernel.uevents.events.clear()
    devices = machine.kernel.devices
    bus = devices.buses["toy"] = ToyBus(devices)
    machine.timeline.finish(devices.add_driver(bus, DeviceDriver("brick")))
    shelf = devices.directory("box/shelf")
    for name in ("brick1", "brick9", "ball1"):
        machine.timeline.finish(devices.register(Toy(name, shelf, bus=bus)))
    return machine


@pytest.fixture
def root(machine):
    return machine


def tree(root, path):
    """Every path below a directory, with what it is: text, mode of what cannot be read, target."""
    found = {}
    for name, _ in sys_node(root, path).children():
        child = f"{path}/{name}"
        node = sys_node(root, child)
        if isinstance(node, Directory):
            found |= tree(root, child)
        elif isinstance(node, Symlink):
            found[child] = node.target
        elif "/power/" not in child:
            found[child] = node.show().decode() if node.show else oct(node.mode)
    return found


def write(root, path, data):
    try:
        stored(root, sys_node(root, path), data)
    except OSError as error:
        return errno.errorcode[error.errno]
    return "OK"


BOUND = {
    f"{TOYS}/brick1/driver": "../../../../bus/toy/drivers/brick",
    f"{TOYS}/brick1/uevent": "DRIVER=brick\nMODALIAS=toy:brick\n",
    f"{TOYS}/brick1/tune/tune1/device": "../../../brick1",
    f"{TOYS}/brick1/tune/tune1/subsystem": "../../../../../../class/tune",
    f"{TOYS}/brick1/tune/tune1/uevent": "",
    "/bus/toy/drivers/brick/brick1": "../../../../devices/box/shelf/brick1",
    "/class/tune/tune1": "../../devices/box/shelf/brick1/tune/tune1",
}
COMMON = {
    **{
        f"{TOYS}/{name}/{file}": text
        for name in ("brick1", "brick9", "ball1")
        for file, text in (
            ("colour", "red\n"),
            ("subsystem", "../../../../bus/toy"),
            ("uevent", "MODALIAS=toy:brick\n"),
        )
    },
    **{
        f"/bus/toy/devices/{name}": f"../../../devices/box/shelf/{name}"
        for name in ("brick1", "brick9", "ball1")
    },
    "/bus/toy/drivers/brick/bind": "0o200",
    "/bus/toy/drivers/brick/uevent": "0o200",
    "/bus/toy/drivers/brick/unbind": "0o200",
    "/bus/toy/drivers_autoprobe": "1\n",
    "/bus/toy/drivers_probe": "0o200",
    "/bus/toy/uevent": "0o200",
}


def whole_tree(root):
    classes = tree(root, "/class/tune") if sys_node(root, "/class/tune") else {}
    return tree(root, TOYS) | tree(root, "/bus/toy") | classes


def test_a_bus_of_its_own_gets_its_whole_subtree(root):
    assert whole_tree(root) == COMMON | BOUND
    for name in ("brick1", "brick9", "ball1", "brick1/tune/tune1"):
        assert sys_node(root, f"{TOYS}/{name}/power/control").show() == b"auto\n"


def test_every_link_leads_to_a_directory(root):
    for path, target in whole_tree(root).items():
        if isinstance(sys_node(root, path), Symlink):
            parts = path.strip("/").split("/")[:-1]
            for part in target.split("/"):
                parts = parts[:-1] if part == ".." else [*parts, part]
            assert isinstance(sys_node(root, "/" + "/".join(parts)), Directory), path


@pytest.mark.parametrize(
    ("file", "data", "result"),
    [
        ("drivers/brick/unbind", b"ball1", "ENODEV"),  # has no driver
        ("drivers/brick/unbind", b"brick2", "ENODEV"),  # is not there
        ("drivers/brick/bind", b"brick1\n", "EBUSY"),
        ("drivers/brick/bind", b"ball1", "ENODEV"),  # does not match
        ("drivers/brick/bind", b"brick9", "EIO"),  # what the probe says
        ("drivers_probe", b"brick9", "OK"),  # a probe that fails is no failure of the write
        ("drivers_probe", b"nothing", "ENODEV"),
        ("uevent", b"bogus", "EINVAL"),
    ],
)
def test_a_refused_write_changes_nothing(root, file, data, result):
    assert write(root, f"/bus/toy/{file}", data) == result
    assert whole_tree(root) == COMMON | BOUND


def test_unbinding_takes_away_what_the_driver_made_and_binding_brings_it_back(machine, root):
    assert write(root, "/bus/toy/drivers/brick/unbind", b"brick1\n") == "OK"
    assert whole_tree(root) == COMMON
    assert sys_node(root, f"{TOYS}/brick1/tune") is None  # cleanup_glue_dir
    assert write(root, "/bus/toy/drivers/brick/bind", b"brick1\n") == "OK"
    assert whole_tree(root) == COMMON | BOUND
    events = [(e.action, e.devpath.rpartition("/")[2]) for e in machine.kernel.uevents.events]
    assert events[-4:] == [
        ("remove", "tune1"),
        ("unbind", "brick1"),
        ("add", "tune1"),
        ("bind", "brick1"),
    ]
    unbind = next(e for e in machine.kernel.uevents.events if e.action == "unbind")
    assert "MODALIAS" not in dict(unbind.environment)  # zap_modalias_env


def test_drivers_autoprobe_leaves_new_devices_alone(machine, root):
    assert write(root, "/bus/toy/drivers_autoprobe", b"0") == "OK"
    devices = machine.kernel.devices
    toy = Toy("brick2", devices.directory("box/shelf"), bus=devices.buses["toy"])
    machine.timeline.finish(devices.register(toy))
    assert sys_node(root, f"{TOYS}/brick2/driver") is None
    assert write(root, "/bus/toy/drivers_probe", b"brick2") == "OK"
    assert isinstance(sys_node(root, f"{TOYS}/brick2/driver"), Symlink)
    machine.timeline.finish(devices.remove(toy))
    assert sys_node(root, f"{TOYS}/brick2") is None
    assert whole_tree(root) == COMMON | BOUND | {"/bus/toy/drivers_autoprobe": "0\n"}


def test_a_name_that_is_taken_is_refused(machine):
    devices = machine.kernel.devices
    with pytest.raises(OSError, match="already") as caught:
        devices.add(Toy("ball1", devices.directory("box/shelf"), bus=devices.buses["toy"]))
    assert caught.value.errno == errno.EEXIST


@pytest.mark.parametrize(
    ("path", "action", "devpath", "subsystem", "more"),
    [
        ("/bus/toy/uevent", "change", "/bus/toy", "bus", {}),
        ("/bus/toy/drivers/brick/uevent", "add", "/bus/toy/drivers/brick", "drivers", {}),
        (
            f"{TOYS}/brick1/uevent",
            "change",
            f"{TOYS}/brick1",
            "toy",
            {"DRIVER": "brick", "MODALIAS": "toy:brick"},
        ),
    ],
)
def test_a_synthetic_uevent_is_heard(machine, root, path, action, devpath, subsystem, more):
    assert write(root, path, action.encode()) == "OK"
    event = machine.kernel.uevents.events[-1]
    assert (event.action, event.devpath, event.subsystem) == (action, devpath, subsystem)
    assert dict(event.environment[3:-1]) == {"SYNTH_UUID": "0", **more}


def test_every_bus_answers_alike(root):
    """Every bus has the same files, and root may write to those that say so (`bus_add_groups`)."""
    for name, _ in sys_node(root, "/bus").children():
        for file, mode in (
            ("drivers_autoprobe", 0o644),
            ("drivers_probe", 0o200),
            ("uevent", 0o200),
        ):
            node = sys_node(root, f"/bus/{name}/{file}")
            assert isinstance(node, Attribute), f"{name}/{file}"
            assert (node.mode, node.store is not None) == (mode, True), f"{name}/{file}"
