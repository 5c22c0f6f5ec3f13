"""The tree that a file system shows: directories, attributes and symbolic links.

This is the plumbing that kernfs and procfs give the real kernel, and all that
the mount needs to know of a file: it asks a directory for names, an attribute
for its text (`show`), or hands it the bytes of one write(2) (`store`).

Files are declared the way the kernel declares them, one function a direction,
named after the file:

    CHANNEL = Attributes[Channel]()

    @CHANNEL.show
    def cpu_show(channel: Channel) -> str: ...

    @CHANNEL.store
    def cpu_store(channel: Channel, data: bytes) -> None: ...

declares the file `cpu`, mode 0644, for every directory that carries
`CHANNEL.on(channel)`.  Nothing else has to be told about it.

Nodes are made afresh at every lookup and hold no state; the object they are
made for (`owner`) is what outlives them.  An open file whose path no longer
leads to an equal owner is a file whose device has gone away.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Generic, NamedTuple, TypeAlias, TypeVar, overload

if TYPE_CHECKING:
    from fakeproc.timeline import Sleeper

T = TypeVar("T")
Show: TypeAlias = Callable[[T], str]
Stored: TypeAlias = "int | Sleeper[int | None] | Sleeper[None] | None"  # what a store returns
Store: TypeAlias = Callable[[T, bytes], Stored]
Mode: TypeAlias = int | Callable[[T], int]
Size: TypeAlias = int | Callable[[T], int]
EndOfRecord: TypeAlias = Callable[[bytes, int], int]

__all__ = [
    "Attribute",
    "Attributes",
    "Directory",
    "EndOfRecord",
    "Group",
    "Listing",
    "Node",
    "ProcDirectory",
    "Stored",
    "Symlink",
    "constant",
    "numbered",
]


class Attribute(NamedTuple):
    """A file: text when read, one command when written.

    `mode` is the permission bits.  `size` is the st_size that sysfs reports
    for it; None where the file system decides.  `show` returns the whole text;
    `store` takes the bytes of exactly one write(2) and either does all that it
    says or raises one OSError and changes nothing.  It returns None, or the
    number that write(2) returns where that is not the number of bytes written;
    one that takes machine time is a `Sleeper` of that.
    `end_of_record`, for a text of many records, is where the record ends that
    begins at an offset: no read returns a part of one.  `is_bitmap`: a binary
    file with a mask or list of CPUs, whose reads end like no others.
    `public` is how many bytes one sees who opens it without CAP_SYS_ADMIN; None for all.
    """

    mode: int
    owner: object
    show: Callable[[], bytes] | None = None
    store: Callable[[bytes], Stored] | None = None
    size: int | None = None
    end_of_record: EndOfRecord | None = None
    is_bitmap: bool = False
    public: int | None = None


@dataclass(frozen=True, slots=True)
class Symlink:
    """A symbolic link; `target` is what readlink(2) returns."""

    target: str
    mode: int = 0o777

    @classmethod
    def between(cls, directory: str, target: str) -> Symlink:
        """A link in `directory` to `target`, both paths from the root of the file system.

        Mirrors `fs/kernfs/symlink.c: kernfs_get_target_path`: up as far as
        the directories have in common with those above the target, then down.
        """
        here, (*there, name) = directory.split("/"), target.split("/")
        common = 0
        while common < min(len(here), len(there)) and here[common] == there[common]:
            common += 1
        return cls("../" * (len(here) - common) + "/".join((*there[common:], name)))


@dataclass(frozen=True, slots=True)
class Listing:
    """Children that come and go: one `kind` of node, named by the model.

    `names` are all of them, `make` the node of one; `count` is how many they
    are, where that is known without making their names.
    """

    kind: type[Attribute | Directory | Symlink]
    names: Callable[[], Collection[str]]
    make: Callable[[str], Attribute | Directory | Symlink | None]
    count: Callable[[], int] | None = None

    def __len__(self) -> int:
        return len(self.names()) if self.count is None else self.count()


@dataclass(eq=False, slots=True)
class Directory:
    """A directory, read like `ls`: what is always there, then what comes and goes.

    `entries` maps a name to a node, or to a function that makes the node or
    returns None while there is no such entry.
    """

    groups: tuple[Group, ...] = ()
    entries: Mapping[str, Node | Callable[[], Node | None]] = field(default_factory=dict)
    listings: tuple[Listing, ...] = ()
    mode: int = 0o755
    owner: object = None

    def lookup(self, name: str) -> Node | None:
        """The entry of that name, or None."""
        entry = self.entries.get(name)
        if entry is not None:
            return entry() if callable(entry) else entry
        for group in self.groups:
            attribute = group.lookup(name)
            if attribute is not None:
                return attribute
        for listing in self.listings:
            node = listing.make(name)
            if node is not None:
                return node
        return None

    def children(self) -> list[tuple[str, Kind]]:
        """Name and kind of every entry, in readdir order."""
        found: list[tuple[str, Kind]] = []
        for group in self.groups:
            found += [(name, Attribute) for name in group.names()]
        for name, entry in self.entries.items():
            node = entry() if callable(entry) else entry
            if node is not None:
                found.append((name, Directory if isinstance(node, Directory) else type(node)))
        for listing in self.listings:
            kind = listing.kind
            found += [(name, kind) for name in listing.names()]
        return found

    @property
    def nlink(self) -> int:
        """2 and one for each sub-directory, as kernfs and procfs count."""
        listed = sum(len(listing) for listing in self.listings if listing.kind is Directory)
        return 2 + sum(isinstance(node, Directory) for node in self._entries()) + listed

    def _entries(self) -> Iterator[Node]:
        for entry in self.entries.values():
            node = entry() if callable(entry) else entry
            if node is not None:
                yield node


class ProcDirectory(Directory):
    """A directory of procfs: mode 0555, entries by length of name, then by name.

    Mirrors `fs/proc/generic.c: proc_match`, by which procfs sorts.
    """

    def __init__(
        self,
        groups: tuple[Group, ...] = (),
        entries: Mapping[str, Node | Callable[[], Node | None]] | None = None,
        listings: tuple[Listing, ...] = (),
        owner: object = None,
        *,
        nlink_counts_files: bool = False,
    ) -> None:
        super().__init__(groups, entries or {}, listings, 0o555, owner)
        self._nlink_counts_files = nlink_counts_files

    @property
    def nlink(self) -> int:
        """2 and one for each sub-directory; some kernels count every entry."""
        if self._nlink_counts_files:
            files = sum(1 for group in self.groups for _ in group.names())
            return 2 + files + sum(1 for _ in self._entries()) + sum(map(len, self.listings))
        return super().nlink

    def children(self) -> list[tuple[str, Kind]]:
        """Name and kind of every entry, in readdir order."""
        return sorted(super().children(), key=lambda child: (len(child[0]), child[0]))


Node = Attribute | Directory | Symlink
Kind: TypeAlias = type[Attribute] | type[Directory] | type[Symlink]


def numbered(
    numbers: Callable[[], Collection[int]],
    make: Callable[[int], Directory | None],
    prefix: str = "",
) -> Listing:
    """Directories named by a number, in decimal as the kernel prints it."""

    def of_name(name: str) -> Directory | None:
        digits = name.removeprefix(prefix)
        if not name.startswith(prefix) or not (digits.isascii() and digits.isdigit()):
            return None
        return make(int(digits)) if digits == "0" or digits[0] != "0" else None

    def names() -> list[str]:
        return [f"{prefix}{number}" for number in numbers()]

    return Listing(Directory, names, of_name, lambda: len(numbers()))


def constant(text: str, mode: int = 0o444, size: int | None = None) -> Attribute:
    """A file whose text never changes."""
    return Attribute(mode, text, text.encode, None, size)


@dataclass(slots=True)
class _Declaration(Generic[T]):
    """What the kernel's DEVICE_ATTR declares: a name, a mode, a show, a store."""

    show: Show[T] | None = None
    store: Store[T] | None = None
    mode: Mode[T] | None = None
    size: Size[T] | None = None
    visible: Callable[[T], bool] | None = None
    records: Callable[[T], EndOfRecord | None] | None = None
    is_bitmap: bool = False

    def permissions(self, subject: T) -> int:
        """The mode given, or the one of DEVICE_ATTR_RO, _WO or _RW."""
        if self.mode is not None:
            return self.mode(subject) if callable(self.mode) else self.mode
        return (0o444 if self.show else 0) | (0o200 if self.store else 0)


class Attributes(Generic[T]):
    """An attribute group: the files that every object of one type has.

    `show` and `store` are decorators, with or without parentheses.
    """

    def __init__(self) -> None:
        self._declarations: dict[str, _Declaration[T]] = {}

    @overload
    def show(self, function: Show[T], /) -> Show[T]: ...
    @overload
    def show(
        self,
        /,
        *,
        name: str | None = None,
        mode: Mode[T] | None = None,
        size: Size[T] | None = None,
        visible: Callable[[T], bool] | None = None,
        records: Callable[[T], EndOfRecord | None] | None = None,
        is_bitmap: bool = False,
    ) -> Callable[[Show[T]], Show[T]]: ...
    def show(
        self,
        function: Show[T] | None = None,
        /,
        *,
        name: str | None = None,
        mode: Mode[T] | None = None,
        size: Size[T] | None = None,
        visible: Callable[[T], bool] | None = None,
        records: Callable[[T], EndOfRecord | None] | None = None,
        is_bitmap: bool = False,
    ) -> Show[T] | Callable[[Show[T]], Show[T]]:
        """Declare what a read returns; the file exists while `visible` says so.

        `records` and `is_bitmap`: see `Attribute`.
        """

        def declare(show: Show[T]) -> Show[T]:
            declaration = self._declare(name or show.__name__.removesuffix("_show"))
            declaration.show, declaration.size, declaration.visible = show, size, visible
            declaration.records, declaration.is_bitmap = records, is_bitmap
            declaration.mode = mode if mode is not None else declaration.mode
            return show

        return declare if function is None else declare(function)

    @overload
    def store(self, function: Store[T], /) -> Store[T]: ...
    @overload
    def store(
        self,
        /,
        *,
        name: str | None = None,
        mode: Mode[T] | None = None,
        visible: Callable[[T], bool] | None = None,
    ) -> Callable[[Store[T]], Store[T]]: ...
    def store(
        self,
        function: Store[T] | None = None,
        /,
        *,
        name: str | None = None,
        mode: Mode[T] | None = None,
        visible: Callable[[T], bool] | None = None,
    ) -> Store[T] | Callable[[Store[T]], Store[T]]:
        """Declare what one write(2) does; a file without `show` exists while `visible` says so."""

        def declare(store: Store[T]) -> Store[T]:
            declaration = self._declare(name or store.__name__.removesuffix("_store"))
            declaration.store = store
            declaration.visible = declaration.visible or visible
            declaration.mode = mode if mode is not None else declaration.mode
            return store

        return declare if function is None else declare(function)

    def _declare(self, name: str) -> _Declaration[T]:
        return self._declarations.setdefault(name, _Declaration())

    def on(self, subject: T, owner: object = None) -> Group:
        """The files of one object.

        `subject` is what show and store are given; `owner` is what outlives
        the lookup, where that is something else.
        """
        return Group(self, subject, subject if owner is None else owner)

    def names(self, subject: T) -> list[str]:
        """The files that this object has, in the order of their declaration."""
        return [
            name
            for name, declaration in self._declarations.items()
            if declaration.visible is None or declaration.visible(subject)
        ]

    def make(self, subject: T, owner: object, name: str) -> Attribute | None:
        """One file of an object; None if it has none of that name."""
        declaration = self._declarations.get(name)
        if declaration is None or (declaration.visible and not declaration.visible(subject)):
            return None
        show, store = declaration.show, declaration.store
        return Attribute(
            declaration.permissions(subject),
            owner,
            None if show is None else lambda: show(subject).encode(),
            None if store is None else lambda data: store(subject, data),
            declaration.size(subject) if callable(declaration.size) else declaration.size,
            declaration.records(subject) if declaration.records else None,
            declaration.is_bitmap,
        )


class Group(NamedTuple):
    """An attribute group of one object: see `Attributes.on`.

    A large machine has tens of thousands of them: three references each.
    """

    attributes: Attributes[Any]
    subject: Any
    owner: object

    def names(self) -> list[str]:
        """The files that there are."""
        return self.attributes.names(self.subject)

    def lookup(self, name: str) -> Attribute | None:
        """The file of that name, or None."""
        return self.attributes.make(self.subject, self.owner, name)
