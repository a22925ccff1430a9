"""The assembled filter, run by a small machine of our own: also for the processor that is not here."""

import errno
import struct

import pytest

from understudy_sandbox.inside import seccomp

ALLOW = 0x7FFF0000


def run(program: bytes, machine: str, nr: int, *arguments: int) -> int | None:
    """What the filter answers to a call: None when allowed, else the error number."""
    padded = [*arguments, *[0] * (6 - len(arguments))]
    seen = struct.pack("=IIQ6Q", nr, seccomp._AUDIT_ARCH[machine], 0, *padded)
    word, at = 0, 0
    while True:
        code, jt, jf, k = struct.unpack_from("=HBBI", program, at * 8)
        at += 1
        if code == seccomp._LD_ABS:
            word = struct.unpack_from("=I", seen, k)[0]
        elif code == seccomp._RET:
            return None if k == ALLOW else k & 0xFFFF
        else:
            true = {seccomp._JEQ: word == k, seccomp._JGE: word >= k, seccomp._JSET: bool(word & k)}[code]
            at += jt if true else jf


CASES = [
    ("x86_64", 0, (), None),  # read
    ("x86_64", 41, (1,), None),  # socket(AF_UNIX)
    ("x86_64", 41, (2,), None),
    ("x86_64", 41, (16,), errno.EOPNOTSUPP),  # socket(AF_NETLINK)
    ("x86_64", 41, (40,), errno.EOPNOTSUPP),  # socket(AF_VSOCK)
    ("x86_64", 56, (0x3D0F00,), None),  # clone, a thread
    ("x86_64", 56, (0x10000000,), errno.EPERM),
    ("x86_64", 435, (), errno.ENOSYS),
    ("x86_64", 101, (), errno.EPERM),
    ("x86_64", 16, (0, 0x5401), None),  # ioctl(TCGETS)
    ("x86_64", 16, (0, 0x5412), errno.EPERM),
    ("x86_64", 16, (0, 0x7_0000_5412), errno.EPERM),  # the kernel looks at the low word only
    ("x86_64", 0x40000000, (), errno.ENOSYS),
    ("aarch64", 63, (), None),
    ("aarch64", 198, (10,), None),
    ("aarch64", 198, (38,), errno.EOPNOTSUPP),
    ("aarch64", 220, (0x20000,), errno.EPERM),
    ("aarch64", 117, (), errno.EPERM),
    ("aarch64", 435, (), errno.ENOSYS),
    ("aarch64", 101, (), None),  # nanosleep here, ptrace there
]

HOSTED = [
    ("x86_64", 41, (1, 0x80801), None),  # socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK)
    ("x86_64", 41, (1, 2), errno.EOPNOTSUPP),  # a datagram goes where it is sent
    ("x86_64", 53, (1, 5), errno.EOPNOTSUPP),
    ("x86_64", 41, (2, 1), errno.ENETUNREACH),
    ("x86_64", 41, (10, 1), errno.ENETUNREACH),
    ("x86_64", 41, (16, 3), errno.EOPNOTSUPP),
    ("x86_64", 42, (), errno.EPERM),  # connect
    ("x86_64", 302, (0,), None),  # prlimit64
    ("x86_64", 302, (7,), errno.EPERM),
    ("x86_64", 144, (7,), 0),  # sched_setscheduler
    ("x86_64", 141, (0, 0), None),  # setpriority(PRIO_PROCESS, 0)
    ("x86_64", 141, (0, 7), errno.EPERM),
    ("x86_64", 141, (2, 0), errno.EPERM),  # setpriority(PRIO_USER, 0)
    ("x86_64", 251, (1, 0), None),  # ioprio_set(IOPRIO_WHO_PROCESS, 0)
    ("x86_64", 251, (3, 0), errno.EPERM),
    ("aarch64", 203, (), errno.EPERM),
    ("aarch64", 198, (1, 1), None),
    ("aarch64", 140, (1, 0), errno.EPERM),
    ("aarch64", 64, (), None),  # write here, semget there
]
SHARED = [
    ("x86_64", 90, 0),
    ("x86_64", 280, 0),
    ("x86_64", 92, errno.EPERM),
    ("aarch64", 53, 0),
    ("aarch64", 54, errno.EPERM),
]


@pytest.mark.parametrize(("machine", "nr", "arguments", "answer"), HOSTED)
def test_calls_where_there_are_no_namespaces(
    machine: str, nr: int, arguments: tuple[int, ...], answer: int | None
) -> None:
    assert run(seccomp.assemble(machine, hosted=True), machine, nr, *arguments) == answer


@pytest.mark.parametrize(("machine", "nr", "answer"), SHARED)
def test_calls_where_the_user_is_the_servers(machine: str, nr: int, answer: int) -> None:
    assert run(seccomp.assemble(machine, hosted=True), machine, nr) is None
    assert run(seccomp.assemble(machine, hosted=True, shared=True), machine, nr) == answer


@pytest.mark.parametrize(("machine", "nr", "arguments", "answer"), CASES)
def test_calls(machine: str, nr: int, arguments: tuple[int, ...], answer: int | None) -> None:
    assert run(seccomp.assemble(machine), machine, nr, *arguments) == answer


def test_another_architecture_is_refused() -> None:
    assert run(seccomp.assemble("x86_64"), "aarch64", 63) == errno.ENOSYS
