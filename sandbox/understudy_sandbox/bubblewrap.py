"""The bubblewrap wall: from a jail to a command line.

Namespaces for users, processes, network, IPC and host name; a root of its own, read-only but for /mnt/data,
/tmp and the home folder; a system call filter.
"""

import os
import re
import shutil
import signal
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from .errors import SandboxUnavailable
from .inside import seccomp
from .jail import DATA, INSIDE, Jail
from .wall import ETC, LINKS, Command, Wall, need_filter

HOME = "/home/sandbox"
SCRATCH = ("/dev/shm", "/tmp", HOME)  # noqa: S108
"""File systems in memory that each jail has to itself."""
_SOCKETS, _BOOT, _FONTS = "/run/k", "/run/boot", "/run/fonts"
_HIDDEN = ("kcore", "keys", "key-users", "kallsyms", "kmsg", "timer_list", "sched_debug", "slabinfo", "vmallocinfo")

_NAMED = Path("/proc/thread-self/children").exists() and hasattr(os, "pidfd_open")

READ_ONLY = ("/", "/usr", "/etc", "/dev", "/run", _BOOT, "/mnt", "/proc/sys/kernel")
"""Where the canary must not be able to create a file."""

_MESSAGES = (
    (
        r"loopback: Failed|uid map: Permission denied",
        (
            "AppArmor lets no ordinary program use user namespaces: install a profile for bwrap (Ubuntu: "
            "apt-get install apparmor-profiles && ln -s /usr/share/apparmor/extra-profiles/bwrap-userns-restrict "
            "/etc/apparmor.d/ && systemctl reload apparmor) or set kernel.apparmor_restrict_unprivileged_userns=0"
        ),
    ),
    (
        r"namespace failed|No permissions to creat|uid map|Operation not permitted.*userns|user namespaces",
        (
            "the system refuses user namespaces: set kernel.unprivileged_userns_clone=1 and a "
            "user.max_user_namespaces above 0; in a container see docker/compose.yaml, the hardened profile"
        ),
    ),
    (
        r"mount proc|/proc",
        "the container hides parts of /proc: start it with --security-opt systempaths=unconfined",
    ),
    (
        r"make / slave|mount tmpfs|pivot_root|remount|bind mount",
        (
            "the container may not mount: start it with --security-opt apparmor=unconfined and a seccomp profile that "
            "allows mount and pivot_root"
        ),
    ),
    (r"Unknown option", "this bubblewrap is too old: 0.8 or newer is needed"),
)


def environment(jail: Jail) -> dict[str, str]:
    """The environment inside."""
    return {**jail.environment(), "HOME": HOME, "USER": "sandbox", "TMPDIR": "/tmp"}  # noqa: S108


def _namespaces(jail: Jail) -> list[str]:
    shared = ["--unshare-ipc", "--unshare-pid", "--unshare-net", "--unshare-uts", "--unshare-cgroup-try"]
    shared += ["--hostname", "sandbox", "--die-with-parent", "--new-session", "--cap-drop", "ALL"]
    if jail.uid is None:
        return ["--unshare-user", "--uid", "1000", "--gid", "1000", "--disable-userns", *shared]
    # As root a user namespace would map the jail's user to the host's root, to whom /proc/sys is writable. So
    # there is none, bubblewrap reads what only root may (a pyenv under /root), and the boot script steps down.
    return [*shared, "--cap-add", "CAP_SETUID", "--cap-add", "CAP_SETGID"]


def _system() -> list[str]:
    flags = []
    for folder in ("/etc", "/home", "/mnt", "/run"):
        flags += _folder(folder)
    flags += ["--ro-bind", "/usr", "/usr"]
    for name in LINKS:
        path = Path("/", name)
        if path.is_symlink():
            flags += ["--symlink", os.readlink(path), str(path)]
        elif path.is_dir():
            flags += ["--ro-bind", str(path), str(path)]
    for name in ETC:
        flags += ["--ro-bind-try", f"/etc/{name}", f"/etc/{name}"]
    return flags


def _etc(jail: Jail) -> list[str]:
    """A handful of files that libraries look for, about nobody on this host."""
    uid = 1000 if jail.uid is None else jail.uid
    contents = {
        "passwd": f"root:x:0:0::/nonexistent:/bin/false\nsandbox:x:{uid}:{uid}::{HOME}:/bin/sh\n",
        "group": f"root:x:0:\nsandbox:x:{uid}:\n",
        "hosts": "127.0.0.1 localhost sandbox\n::1 localhost\n",
        "nsswitch.conf": "passwd: files\ngroup: files\nhosts: files\n",
    }
    folder = jail.run / "etc"
    folder.mkdir()
    flags = []
    for name, text in contents.items():
        (folder / name).write_text(text)
        flags += ["--ro-bind", str(folder / name), f"/etc/{name}"]
    return flags


def _kernel_interfaces() -> list[str]:
    flags = ["--proc", "/proc", "--dev", "/dev", "--ro-bind", "/proc/sys", "/proc/sys"]
    for name in _HIDDEN:
        if Path("/proc", name).exists():
            flags += ["--ro-bind", "/dev/null", f"/proc/{name}"]
    # The first process is bubblewrap itself, without the filter and the limits: who writes its memory is rid of both.
    return [*flags, "--tmpfs", "/proc/1", "--remount-ro", "/proc/1"]


def _scratch(jail: Jail) -> list[str]:
    sizes = (jail.limits.shared_memory, jail.limits.tmp, jail.limits.home)
    flags = []
    for path, size in zip(SCRATCH, sizes, strict=True):
        flags += ["--perms", "1777", "--size", str(size), "--tmpfs", path]
    return flags


def _python(jail: Jail) -> list[str]:
    flags = []
    for root in jail.interpreter.roots:
        # uv names a Python by a link to a folder; the link's name and its target must both resolve.
        for path in dict.fromkeys((root, root.resolve())):
            if not path.is_relative_to("/usr"):
                flags += [*_parents(path), "--ro-bind", str(root.resolve()), str(path)]
    return flags


def _parents(path: Path) -> list[str]:
    return [flag for parent in reversed(path.parents[:-1]) for flag in _folder(str(parent))]


def _folder(path: str) -> list[str]:
    # Left to itself, bubblewrap as root makes the folders above a mount readable for root only.
    return ["--perms", "0755", "--dir", path]


def _ours(jail: Jail) -> list[str]:
    flags = ["--ro-bind", str(INSIDE), _BOOT]
    if jail.role == "kernel":
        flags += ["--bind", str(jail.sockets), _SOCKETS]
    if jail.fonts is not None:
        flags += ["--ro-bind", str(jail.fonts), _FONTS]
    return [*flags, "--bind", str(jail.data), DATA]


def _variables(jail: Jail) -> list[str]:
    settings = jail.settings(
        fonts=_FONTS if jail.fonts is not None else None,
        environment=[*environment(jail), "PWD", "LC_CTYPE"],
        read_only=READ_ONLY,
    )
    flags = ["--clearenv"]
    for name, value in {**environment(jail), "UNDERSTUDY_BOOT": settings}.items():
        flags += ["--setenv", name, value]
    return flags


def arguments(jail: Jail) -> list[str]:
    """Bubblewrap's options, the filter's descriptor aside."""
    return [
        *_namespaces(jail),
        *_variables(jail),
        *_system(),
        *_etc(jail),
        *_kernel_interfaces(),
        *_scratch(jail),
        *_python(jail),
        *_ours(jail),
        *("--remount-ro", "/dev", "--remount-ro", "/", "--chdir", DATA),
    ]


class Bubblewrap(Wall):
    """Jails that bubblewrap builds."""

    name = "bubblewrap"
    scratch = SCRATCH
    messages = _MESSAGES

    def __init__(self) -> None:
        self._program = find()

    @contextmanager
    def command(self, jail: Jail) -> Iterator[Command]:
        """The options travel through a descriptor: a command line can be read by everybody, also in the jail."""
        with _memory(seccomp.assemble()) as filter_fd:
            options = [*arguments(jail), "--seccomp", str(filter_fd)]
            with _memory(b"".join(option.encode() + b"\0" for option in options)) as options_fd:
                python = [str(jail.interpreter.executable), "-s", "-P", f"{_BOOT}/boot.py"]
                argv = [self._program, "--args", str(options_fd), "--", *python]
                yield Command(argv, {}, pass_fds=(filter_fd, options_fd))

    def end(self, process: subprocess.Popen[bytes]) -> None:
        """Kill the jail's first process, with which the system kills all others.

        The outer bubblewrap, which waits for it, then ends only when nothing of the jail is left. It is not killed
        itself, where that can be helped: while a jail is being built that would leave a process which nothing ends.
        """
        if _NAMED:
            _kill_child(process.pid)
        else:
            process.kill()


def find() -> str:
    """Bubblewrap's path, of a version that knows our options."""
    need_filter()
    path = shutil.which("bwrap")
    if path is None:
        raise SandboxUnavailable(
            "The code interpreter needs bubblewrap, which is not installed: apt-get install bubblewrap."
        )
    said = subprocess.run([path, "--version"], capture_output=True, text=True, timeout=10).stdout  # noqa: S603
    numbers = [int(n) for n in re.findall(r"\d+", said)[:2]]
    if numbers < [0, 8]:
        raise SandboxUnavailable(f"The code interpreter needs bubblewrap 0.8 or newer, found {said.strip()!r}.")
    return path


@contextmanager
def _memory(content: bytes) -> Iterator[int]:
    fd = os.memfd_create("understudy")
    try:
        os.write(fd, content)
        os.lseek(fd, 0, os.SEEK_SET)
        yield fd
    finally:
        os.close(fd)


def _kill_child(pid: int) -> None:
    """Kill a process's only child, if there is one: surely that, as a pidfd cannot name a successor of its number."""
    children = Path(f"/proc/{pid}/task/{pid}/children")
    with suppress(OSError, IndexError):
        named = children.read_text().split()
        fd = os.pidfd_open(int(named[0]))
        try:
            if children.read_text().split() == named:
                signal.pidfd_send_signal(fd, signal.SIGKILL)
        finally:
            os.close(fd)
