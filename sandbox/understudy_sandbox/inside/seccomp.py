"""A system call filter, assembled by hand: a deny-list that answers with an error number.

An allow-list that kills gives random SIGSYS deaths in numpy and friends, so nothing is killed here.
"""

import ctypes
import errno
import platform
import struct

_LD_ABS = 0x20  # BPF_LD | BPF_W | BPF_ABS
_JEQ = 0x15  # BPF_JMP | BPF_JEQ | BPF_K
_JGE = 0x35  # BPF_JMP | BPF_JGE | BPF_K
_JSET = 0x45  # BPF_JMP | BPF_JSET | BPF_K
_RET = 0x06  # BPF_RET | BPF_K

_ALLOW = 0x7FFF0000
_ERRNO = 0x00050000

# Offsets into struct seccomp_data; both architectures are little-endian, so an argument's low word comes first.
_NR, _ARCH, _ARG0, _ARG1 = 0, 4, 16, 24

_AUDIT_ARCH = {"x86_64": 0xC000003E, "aarch64": 0xC00000B7}
ARCHITECTURES = tuple(_AUDIT_ARCH)

# name: (x86_64, aarch64); None where the architecture has no such call.
_DENIED: dict[str, tuple[int | None, int | None]] = {
    # other namespaces and mounts
    "unshare": (272, 97),
    "setns": (308, 268),
    "mount": (165, 40),
    "umount2": (166, 39),
    "pivot_root": (155, 41),
    "chroot": (161, 51),
    "open_tree": (428, 428),
    "move_mount": (429, 429),
    "fsopen": (430, 430),
    "fsconfig": (431, 431),
    "fsmount": (432, 432),
    "fspick": (433, 433),
    "mount_setattr": (442, 442),
    "open_tree_attr": (467, 467),
    # other processes
    "ptrace": (101, 117),
    "process_vm_readv": (310, 270),
    "process_vm_writev": (311, 271),
    "process_madvise": (440, 440),
    "kcmp": (312, 272),
    "pidfd_getfd": (438, 438),
    # wide or recent attack surface of the kernel
    "io_uring_setup": (425, 425),
    "io_uring_enter": (426, 426),
    "io_uring_register": (427, 427),
    "bpf": (321, 280),
    "userfaultfd": (323, 282),
    "perf_event_open": (298, 241),
    "fanotify_init": (300, 262),
    "fanotify_mark": (301, 263),
    "lookup_dcookie": (212, 18),
    "name_to_handle_at": (303, 264),
    "open_by_handle_at": (304, 265),
    "vmsplice": (278, 75),
    # keys
    "add_key": (248, 217),
    "request_key": (249, 218),
    "keyctl": (250, 219),
    # memory that no limit of ours counts
    "memfd_create": (319, 279),
    "memfd_secret": (447, 447),
    "shmget": (29, 194),
    "shmctl": (31, 195),
    "shmat": (30, 196),
    "shmdt": (67, 197),
    "msgget": (68, 186),
    "msgctl": (71, 187),
    "msgrcv": (70, 188),
    "msgsnd": (69, 189),
    "mbind": (237, 235),
    "migrate_pages": (256, 238),
    "move_pages": (279, 239),
    # the machine itself
    "acct": (163, 89),
    "adjtimex": (159, 171),
    "clock_adjtime": (305, 266),
    "clock_settime": (227, 112),
    "settimeofday": (164, 170),
    "delete_module": (176, 106),
    "finit_module": (313, 273),
    "init_module": (175, 105),
    "kexec_file_load": (320, 294),
    "kexec_load": (246, 104),
    "quotactl": (179, 60),
    "quotactl_fd": (443, 443),
    "reboot": (169, 142),
    "sethostname": (170, 161),
    "setdomainname": (171, 162),
    "swapon": (167, 224),
    "swapoff": (168, 225),
    "syslog": (103, 116),
    "vhangup": (153, 58),
    "nfsservctl": (180, 42),
    "iopl": (172, None),
    "ioperm": (173, None),
    "modify_ldt": (154, None),
    "ustat": (136, None),
    "sysfs": (139, None),
    "uselib": (134, None),
    "_sysctl": (156, None),
}

# Calls that are looked at more closely: (x86_64, aarch64).
_SOCKET, _SOCKETPAIR, _CLONE, _CLONE3, _IOCTL = (41, 198), (53, 199), (56, 220), (435, 435), (16, 29)

# CLONE_NEWNS, NEWCGROUP, NEWUTS, NEWIPC, NEWUSER, NEWPID, NEWNET
_NAMESPACES = 0x00020000 | 0x02000000 | 0x04000000 | 0x08000000 | 0x10000000 | 0x20000000 | 0x40000000
_AF_UNIX, _AF_INET, _AF_INET6 = 1, 2, 10
_TIOCSTI, _TIOCLINUX = 0x5412, 0x541C
_X32 = 0x40000000
_PR_SET_SECCOMP, _MODE_FILTER = 22, 2


def _op(code: int, k: int, jt: int = 0, jf: int = 0) -> bytes:
    return struct.pack("=HBBI", code, jt, jf, k)


def _fail(number: int) -> bytes:
    return _op(_RET, _ERRNO | number)


def _deny(nr: int, number: int = errno.EPERM) -> bytes:
    return _op(_JEQ, nr, 0, 1) + _fail(number)


def _when(nr: int, body: bytes) -> bytes:
    """The body for one call only; it must end the program itself."""
    return _op(_JEQ, nr, 0, len(body) // 8) + body


def _socket_families() -> bytes:
    # libzmq aborts the process when AF_NETLINK fails with EAFNOSUPPORT, not with EOPNOTSUPP.
    return (
        _op(_LD_ABS, _ARG0)
        + _op(_JEQ, _AF_UNIX, 3)
        + _op(_JEQ, _AF_INET, 2)
        + _op(_JEQ, _AF_INET6, 1)
        + _fail(errno.EOPNOTSUPP)
        + _op(_RET, _ALLOW)
    )


def _clone_flags() -> bytes:
    return _op(_LD_ABS, _ARG0) + _op(_JSET, _NAMESPACES, 0, 1) + _fail(errno.EPERM) + _op(_RET, _ALLOW)


def _terminal_ioctls() -> bytes:
    # Both type into a terminal on behalf of its owner.
    return (
        _op(_LD_ABS, _ARG1)
        + _op(_JEQ, _TIOCSTI, 1)
        + _op(_JEQ, _TIOCLINUX, 0, 1)
        + _fail(errno.EPERM)
        + _op(_RET, _ALLOW)
    )


def assemble(machine: str | None = None) -> bytes:
    """The filter as the kernel and `bwrap --seccomp` take it; KeyError on an unknown architecture."""
    machine = machine or platform.machine()
    arch, column = _AUDIT_ARCH[machine], list(_AUDIT_ARCH).index(machine)
    program = _op(_LD_ABS, _ARCH) + _op(_JEQ, arch, 1) + _fail(errno.ENOSYS) + _op(_LD_ABS, _NR)
    if machine == "x86_64":
        program += _op(_JGE, _X32, 0, 1) + _fail(errno.ENOSYS)
    # ENOSYS makes the C library fall back to clone, whose flags can be read here.
    program += _deny(_CLONE3[column], errno.ENOSYS)
    for numbers in _DENIED.values():
        nr = numbers[column]
        if nr is not None:
            program += _deny(nr)
    for call in (_SOCKET, _SOCKETPAIR):
        program += _when(call[column], _socket_families())
    program += _when(_CLONE[column], _clone_flags())
    program += _when(_IOCTL[column], _terminal_ioctls())
    return program + _op(_RET, _ALLOW)


def load(program: bytes) -> None:
    """Put this process and all that it starts behind a filter, for good; it must not be able to gain privileges."""
    lines = ctypes.create_string_buffer(program, len(program))
    # struct sock_fprog: how many instructions, and where they are.
    packed = struct.pack("HP", len(program) // 8, ctypes.addressof(lines))
    if ctypes.CDLL(None, use_errno=True).prctl(_PR_SET_SECCOMP, _MODE_FILTER, packed, 0, 0) != 0:
        raise OSError(ctypes.get_errno(), "the system call filter cannot be loaded")
