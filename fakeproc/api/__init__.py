"""The Python interface: `fakeproc.Guest` and `fakeproc.Machine`, and what they hand out.

- `console`   what both are told and asked: interrupts, time, traffic, devices, state, log
- `guest`     a guest that is mounted, for programs
- `machine`   a guest in this process, for code that one can hand a reader and a writer
- `spawner`   the process by whose side mounted guests live, and with which they end
- `state`     `host/state.json`, typed, and in what two of them differ
- `accesses`  questions to the record of accesses
- `errors`    what can go wrong

Everything public of it is a name in `fakeproc`.
"""
