"""The man pages, made from what the code says: `python docs/manpages.py` writes them to man/."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import click
import facts

from fakeproc import __version__, profiles
from fakeproc.profiles.kernels import KERNELS
from fakeproc.protocol.classes import CLASS_GUIDS

__all__ = ["PAGES", "write"]

DIRECTORY = Path(__file__).parent.parent / "man"


def text(words: str) -> str:
    """Running text as roff: nothing of it is taken for a command; `this` is bold."""
    escaped = words.replace("\\", "\\e").replace("-", "\\-").replace("'", "\\(aq")
    parts = escaped.split("`")
    parts[1::2] = [f"\\fB{part}\\fR" for part in parts[1::2]]
    line = "".join(parts)
    return f"\\&{line}" if line.startswith((".", "\\(aq")) else line


def item(tag: str, *said: str) -> Iterator[str]:
    """A tag, and what it stands for below it, indented."""
    yield ".TP"
    yield tag
    for number, words in enumerate(said):
        if number:
            yield ".IP"
        yield text(words)


def head(name: str, section: int, what: str) -> Iterator[str]:
    """The first lines of a page."""
    yield '.\\" Made by docs/manpages.py; changes belong there, or into the code that it asks.'
    yield f'.TH {name.upper()} {section} "" "fakeproc {__version__}" "fakeproc"'
    yield ".SH NAME"
    yield f"{text(name)} \\- {text(what)}"


def synopsis() -> Iterator[str]:
    """How each command is called."""
    yield ".SH SYNOPSIS"
    yield ".nf"
    for name, command in facts.commands():
        if not isinstance(command, click.Group) or command.invoke_without_command:
            options = any(parameter.param_type_name == "option" for parameter in command.params)
            usage = facts.usage(name, command).removeprefix(name)
            usage = usage.replace(" COMMAND [ARGS]...", "")
            usage = usage if options else usage.replace(" [OPTIONS]", "")
            yield f"\\fB{text(name)}\\fR{text(usage)}"
    yield ".fi"


def command_page() -> Iterator[str]:
    """fakeproc(1)."""
    commands = dict(facts.commands())
    group = commands.pop("fakeproc")
    yield from head("fakeproc", 1, "the /proc and /sys of an emulated Hyper-V guest")
    yield from synopsis()
    yield ".SH DESCRIPTION"
    yield text(facts.paragraphs(group)[0])
    yield ".PP"
    yield text(
        "Below the mountpoint, `proc` and `sys` are what the guest's kernel shows, and `host` is "
        "the console of its host. Files are read and written as on a real guest: a mask of CPUs "
        "written into `proc/irq/39/smp_affinity` moves that interrupt, and whatever else tells "
        "where it is follows. What a kernel would refuse is refused with its error, and the last "
        "line of `host/log` says why."
    )
    yield ".SH COMMANDS"
    for name, command in commands.items():
        yield ".SS"
        yield text(name)
        for paragraph in facts.paragraphs(command):
            yield text(paragraph)
            yield ".PP"
        for option, said in facts.options(command):
            if not option.startswith("-h,"):
                yield from item(f"\\fB{text(option)}\\fR", said)
    yield ".SH THE HOST'S CONSOLE"
    yield text(
        "One command a line, any number of lines in one write: all are carried out, or none. A "
        "line that is wrong is EINVAL."
    )
    for path, file in facts.files().items():
        if path.startswith("host/"):
            lines = [f"Read: {file.reads}"] if file.reads else []
            lines += [f"Written: {file.writes}"] if file.writes else []
            yield from item(f"\\fB{text(path)}\\fR", *lines)
    yield ".SH KERNELS"
    yield text("Known to `--kernel` are:")
    for name, (version, series) in KERNELS.items():
        yield from item(f"\\fB{text(name)}\\fR", f"Linux {version}, the series {series}")
    yield ".SH EXIT STATUS"
    yield from item("\\fB0\\fR", "It is done.")
    yield from item("\\fB1\\fR", "It cannot be done; a sentence on standard error says why.")
    yield from item("\\fB2\\fR", "A usage error.")
    yield ".PP"
    yield text("`fakeproc run` ends as the command that it runs; see above.")
    yield ".SH ENVIRONMENT"
    yield from item("\\fBFAKEPROC\\fR", "Set by `fakeproc run`: where the guest is mounted.")
    yield from item(
        "\\fBXDG_RUNTIME_DIR\\fR", "Where the list of mounts, and the daemons' logs, are kept."
    )
    yield from item(
        "\\fBFAKEPROC_LIBFUSE\\fR",
        "3 to mount through libfuse 3 where libfuse 2 is installed, too.",
    )
    yield ".SH EXAMPLES"
    yield ".nf"
    for command in (group, *commands.values()):
        for line in facts.examples(command):
            yield text(line)
    yield ".fi"
    yield ".SH SEE ALSO"
    yield "\\fBfakeproc\\-profile\\fR(5), \\fBproc\\fR(5), \\fBsysfs\\fR(5), \\fBirqbalance\\fR(1)"


def profile_page() -> Iterator[str]:
    """fakeproc-profile(5)."""
    yield from head("fakeproc-profile", 5, "the machine that fakeproc shows, as a TOML file")
    yield ".SH SYNOPSIS"
    yield ".nf"
    yield text("`fakeproc profiles show` hyperv-gen2 > mine.toml")
    yield text("`fakeproc mount --profile` mine.toml DIRECTORY")
    yield ".fi"
    yield ".SH DESCRIPTION"
    yield text(
        "A profile says which machine a guest is: its processors, its kernel, its devices, what "
        "they have counted so far and how often they interrupt. Interrupt numbers, the CPUs of "
        "channels and the names in `/proc/interrupts` are not written down; they come out of the "
        "order in which the devices stand, which is that in which the host offers them."
    )
    yield ".PP"
    yield text(
        "A key that is not listed here, of the wrong type, or in contradiction with the rest is "
        "refused in one sentence that names the line and the key. A mounted guest shows its "
        "profile, with every default, as `host/profile.toml`."
    )
    for name, said, keys in facts.tables():
        yield f'.SH "{text(name.upper() if name.startswith("(") else name)}"'
        yield text(said)
        for key in keys:
            default = {"must be given": "; must be given", "": "", "none": ""}.get(
                key.default, f"; default: {key.default}"
            )
            yield from item(f"\\fB{text(key.name)}\\fR ({text(key.type + default)})", key.meaning)
    yield ".SH CLASSES OF DEVICES"
    yield text("`class` is a class GUID, or one of these names:")
    for name, guid in CLASS_GUIDS.items():
        yield from item(f"\\fB{text(name)}\\fR", str(guid))
    yield ".SH BUILT-IN PROFILES"
    for name in profiles.names():
        yield from item(f"\\fB{text(name)}\\fR", profiles.description(name))
    yield ".SH SEE ALSO"
    yield "\\fBfakeproc\\fR(1)"


PAGES = {"fakeproc.1": command_page, "fakeproc-profile.5": profile_page}


def write() -> None:
    """Write all of them."""
    DIRECTORY.mkdir(exist_ok=True)
    for name, page in PAGES.items():
        (DIRECTORY / name).write_text("".join(f"{line}\n" for line in page()))


if __name__ == "__main__":
    write()
