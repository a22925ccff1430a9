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

Numbers = dict[str, tuple[int | None, int | None]]

_AUDIT_ARCH = {"x86_64": 0xC000003E, "aarch64": 0xC00000B7}
ARCHITECTURES = tuple(_AUDIT_ARCH)

# name: (x86_64, aarch64); None where the architecture has no such call.
_DENIED: Numbers = {
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

# What a jail without namespaces of its own could do to others: (x86_64, aarch64).
_HOSTED: Numbers = {
    # Landlock knows no sockets in files, and before its third version no truncate
    "connect": (42, 203),
    "truncate": (76, 45),
    # attributes of files that are not its own, and the names of such files
    "setxattr": (188, 5),
    "lsetxattr": (189, 6),
    "fsetxattr": (190, 7),
    "setxattrat": (463, 463),
    "removexattr": (197, 14),
    "lremovexattr": (198, 15),
    "fremovexattr": (199, 16),
    "removexattrat": (466, 466),
    "inotify_init": (253, None),
    "inotify_init1": (294, 26),
    # the host's semaphores and message queues
    "semget": (64, 190),
    "semctl": (66, 191),
    "semop": (65, 193),
    "semtimedop": (220, 192),
    "mq_open": (240, 180),
    "mq_unlink": (241, 181),
}

# The same where its user is the server's.
_OWNERSHIP: Numbers = {
    "chown": (92, None),
    "lchown": (94, None),
    "fchown": (93, 55),
    "fchownat": (260, 54),
    "file_setattr": (469, 469),
}
# These do nothing and say that all went well, as on file systems without modes: programs that copy would fail.
_MODES_AND_TIMES: Numbers = {
    "chmod": (90, None),
    "fchmod": (91, 52),
    "fchmodat": (268, 53),
    "fchmodat2": (452, 452),
    "utime": (132, None),
    "utimes": (235, None),
    "futimesat": (261, None),
    "utimensat": (280, 88),
}

# Calls that take a process, the values of their first arguments that mean the caller, and what is answered for others:
# (x86_64, aarch64). libzmq aborts where it cannot schedule its own threads, which it names by their numbers.
_ON_PROCESSES: dict[str, tuple[tuple[int, int], tuple[int, ...], int]] = {
    "prlimit64": ((302, 261), (0,), errno.EPERM),
    "sched_setparam": ((142, 118), (0,), 0),
    "sched_setscheduler": ((144, 119), (0,), 0),
    "sched_setaffinity": ((203, 122), (0,), 0),
    "sched_setattr": ((314, 274), (0,), 0),
    "setpriority": ((141, 140), (0, 0), errno.EPERM),
    "ioprio_set": ((251, 30), (1, 0), errno.EPERM),
}

# Calls that are looked at more closely: (x86_64, aarch64).
_SOCKET, _SOCKETPAIR, _CLONE, _CLONE3, _IOCTL = (41, 198), (53, 199), (56, 220), (435, 435), (16, 29)

# CLONE_NEWNS, NEWCGROUP, NEWUTS, NEWIPC, NEWUSER, NEWPID, NEWNET
_NAMESPACES = 0x00020000 | 0x02000000 | 0x04000000 | 0x08000000 | 0x10000000 | 0x20000000 | 0x40000000
_AF_UNIX, _AF_INET, _AF_INET6 = 1, 2, 10
_OTHER_TYPES = 0xE
_TIOCSTI, _TIOCLINUX = 0x5412, 0x541C
_X32 = 0x40000000
_SET_SECCOMP, _MODE_FILTER = 22, 2


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


def _local_sockets() -> bytes:
    # Without connect only those of a pair, and a datagram goes where it is sent. Type 1 is a stream.
    return (
        _op(_LD_ABS, _ARG0)
        + _op(_JEQ, _AF_UNIX, 3)
        + _op(_JEQ, _AF_INET, 1)
        + _op(_JEQ, _AF_INET6, 0, 4)
        + _fail(errno.ENETUNREACH)
        + _op(_LD_ABS, _ARG1)
        + _op(_JSET, _OTHER_TYPES, 1)
        + _op(_RET, _ALLOW)
        + _fail(errno.EOPNOTSUPP)
    )


def _only_itself(arguments: tuple[int, ...], otherwise: int) -> bytes:
    checks = b""
    for offset, value in zip((_ARG0, _ARG1), arguments, strict=False):
        checks += _op(_LD_ABS, offset) + _op(_JEQ, value, 1) + _fail(otherwise)
    return checks + _op(_RET, _ALLOW)


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


def assemble(machine: str | None = None, *, hosted: bool = False, shared: bool = False) -> bytes:
    """The filter as the kernel and `bwrap --seccomp` take it; KeyError on an unknown architecture.

    A jail is hosted that has no namespaces of its own, and shared if its user is the server's.
    """
    machine = machine or platform.machine()
    arch, column = _AUDIT_ARCH[machine], list(_AUDIT_ARCH).index(machine)
    program = _op(_LD_ABS, _ARCH) + _op(_JEQ, arch, 1) + _fail(errno.ENOSYS) + _op(_LD_ABS, _NR)
    if machine == "x86_64":
        program += _op(_JGE, _X32, 0, 1) + _fail(errno.ENOSYS)
    # ENOSYS makes the C library fall back to clone, whose flags can be read here.
    program += _deny(_CLONE3[column], errno.ENOSYS)
    program += _deny_all(_DENIED, column)
    if hosted:
        program += _deny_all(_HOSTED, column)
        for numbers, arguments, answer in _ON_PROCESSES.values():
            program += _when(numbers[column], _only_itself(arguments, answer))
    if shared:
        program += _deny_all(_OWNERSHIP, column) + _deny_all(_MODES_AND_TIMES, column, 0)
    for call in (_SOCKET, _SOCKETPAIR):
        program += _when(call[column], _local_sockets() if hosted else _socket_families())
    program += _when(_CLONE[column], _clone_flags())
    program += _when(_IOCTL[column], _terminal_ioctls())
    return program + _op(_RET, _ALLOW)


def _deny_all(calls: Numbers, column: int, number: int = errno.EPERM) -> bytes:
    return b"".join(_deny(nr, number) for nr in (numbers[column] for numbers in calls.values()) if nr is not None)


def load(program: bytes) -> None:
    """Hold this process and all that it starts to a filter, for good; it may gain no privileges any more."""
    content = ctypes.create_string_buffer(program, len(program))
    described = struct.pack("HL", len(program) // 8, ctypes.addressof(content))
    if ctypes.CDLL(None, use_errno=True).prctl(_SET_SECCOMP, _MODE_FILTER, described, 0, 0) != 0:
        raise OSError(ctypes.get_errno(), "the system call filter was refused")
