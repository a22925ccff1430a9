"""Every number of the sandbox, in one frozen object."""

from dataclasses import dataclass

KIB = 1024
MIB = 1024 * KIB
GIB = 1024 * MIB


@dataclass(frozen=True, slots=True)
class SandboxLimits:
    """What one session may use.

    Enforced by the kernel of the operating system (rlimits, sizes of tmpfs), by the session that reads the
    interpreter's messages, and for a jail as a whole by the watchdog.
    """

    timeout: float = 60.0
    """Seconds a call may take before it is interrupted."""
    grace: float = 3.0
    """Seconds an interrupted call has to yield before its kernel is killed."""
    cancel_grace: float = 0.5
    """The same, when the caller itself was cancelled."""
    start_timeout: float = 30.0
    """Seconds a kernel may take to start."""
    memory: int = 2 * GIB
    """Bytes of memory of a jail, its file systems in memory included."""
    disk: int = GIB
    """Bytes in /mnt/data besides the files that were given; one file may hold half (RLIMIT_FSIZE)."""
    files: int = 10_000
    """Files and folders in /mnt/data."""
    depth: int = 16
    """Levels of folders below /mnt/data."""
    processes: int = 64
    """Processes and threads of a session (RLIMIT_NPROC)."""
    descriptors: int = 512
    """Open files of a process (RLIMIT_NOFILE)."""
    cpu: int = 600
    """Seconds of processor time of a process (RLIMIT_CPU)."""
    blas_threads: int = 2
    """Threads that numpy's libraries may start."""
    tmp: int = 256 * MIB
    """Bytes of /tmp."""
    shared_memory: int = 64 * MIB
    """Bytes of /dev/shm."""
    home: int = 16 * MIB
    """Bytes of the home folder."""
    output: int = 256 * KIB
    """Bytes of text kept of a call."""
    received: int = 16 * MIB
    """Bytes a call may send, shown images aside, before it is stopped."""
    images: int = 20
    """Images kept of a call."""
    image: int = 20 * MIB
    """Bytes of one image."""
    message: int = 64 * MIB
    """Bytes of one message of the kernel; a longer one ends the kernel."""
    sessions: int = 64
    """Live kernels; the least recently used idle one gives way."""
    warm: int = 1
    """Kernels that wait for a session, each some 90 MB of memory once code was run or announced; among `sessions`."""
    idle: float = 30 * 60.0
    """Seconds after which an idle kernel is closed."""
    age: float = 60 * 60.0
    """Seconds after which a kernel is closed as soon as no call runs."""

    @property
    def address_space(self) -> int:
        """Bytes that one process may address; libraries and threads reserve much that they never use."""
        return self.memory + max(self.memory, GIB // 2)

    @property
    def file_size(self) -> int:
        """Bytes that one file may hold."""
        return self.disk // 2
