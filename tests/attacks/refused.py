"""Attempts that a wall refuses at once: an expression each, and what must become of it behind bubblewrap.

They are tried in one cell, each in a process of its own. The report of an attempt is the name of the error that refused
it, or `got …` and what it got; the expectation names the reports that are right, between bars.
"""

import platform

PREAMBLE = """
import ctypes, errno, fcntl, glob, json, mmap, os, platform, resource, signal, socket, subprocess, urllib.request
libc, x86 = ctypes.CDLL(None, use_errno=True), platform.machine() == 'x86_64'
parent = os.getppid()
def checked(result):
    if result < 0:
        raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()))
    return result
def call(name, *arguments):
    return checked(getattr(libc, name)(*arguments))
def syscall(on_x86, elsewhere, *arguments):
    numbers = (ctypes.c_long(one) if isinstance(one, int) else one for one in arguments)
    return checked(libc.syscall(ctypes.c_long(on_x86 if x86 else elsewhere), *numbers))
def read(path):
    with open(path, 'rb') as file:
        return file.read(1 << 16)
def write(path):
    with open(path, 'r+b'):
        pass
def create(folder):
    path = os.path.join(folder, 'intruder')
    open(path, 'xb').close()
    os.unlink(path)
def whatever(function, *arguments):
    try:
        return function(*arguments)
    except OSError:
        return b''
def seen(pattern):
    return [path for path in glob.glob(pattern, recursive=True) if os.access(path, os.F_OK)]
def connect(family, address, kind=socket.SOCK_STREAM):
    with socket.socket(family, kind) as one:
        one.settimeout(3)
        one.connect(address)
        if kind == socket.SOCK_DGRAM:
            one.send(b'anybody?')
            if family != socket.AF_UNIX:
                one.recv(9)
def machine_code(code):
    page = mmap.mmap(-1, 4096, prot=mmap.PROT_READ | mmap.PROT_WRITE | mmap.PROT_EXEC)
    page.write(bytes(code))
    result = ctypes.CFUNCTYPE(ctypes.c_int)(ctypes.addressof(ctypes.c_char.from_buffer(page)))()
    if result < 0:
        raise OSError(-result, os.strerror(-result))
    return result
def program(*command):
    done = subprocess.run(command, capture_output=True, text=True, stdin=subprocess.DEVNULL, timeout=20)
    if done.returncode:
        raise ChildProcessError(done.stderr)
    return done.stdout
def raised(name):
    kind = getattr(resource, 'RLIMIT_' + name)
    resource.setrlimit(kind, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
def outcome(code):
    try:
        return f'got {eval(code)!r}'[:99]
    except Exception as caught:
        error = getattr(caught, 'reason', caught)
    if isinstance(error, socket.gaierror):
        return next(name for name in dir(socket) if name.startswith('EAI_') and getattr(socket, name) == error.errno)
    return errno.errorcode.get(getattr(error, 'errno', None), type(error).__name__)
def report(code):
    ours, theirs = os.pipe()
    pid = os.fork()
    if pid == 0:
        os.write(theirs, outcome(code).encode())
        os._exit(0)
    os.close(theirs)
    with open(ours, 'rb') as pipe:
        said = pipe.read().decode()
    status = os.waitpid(pid, 0)[1]
    return said if status == 0 else f'{said} ended with status {status}'
"""

Attempts = dict[str, tuple[str, str]]

NETWORK: Attempts = {
    "TCP to the internet": ("connect(socket.AF_INET, ('1.1.1.1', 80))", "ENETUNREACH"),
    "TCP over IPv6": ("connect(socket.AF_INET6, ('2606:4700:4700::1111', 80))", "ENETUNREACH"),
    "UDP to the internet": ("connect(socket.AF_INET, ('8.8.8.8', 53), socket.SOCK_DGRAM)", "ENETUNREACH"),
    "UDP over IPv6": ("connect(socket.AF_INET6, ('2001:4860:4860::8888', 53), socket.SOCK_DGRAM)", "ENETUNREACH"),
    "UDP to everybody": (
        "socket.socket(socket.AF_INET, socket.SOCK_DGRAM).sendto(b'x', ('255.255.255.255', 9))",
        "ENETUNREACH",
    ),
    "names": ("socket.getaddrinfo('example.com', 80)", "EAI_AGAIN|EAI_NONAME"),
    "HTTP": ("urllib.request.urlopen('http://example.com/', timeout=3)", "EAI_AGAIN|EAI_NONAME"),
    "metadata address": ("urllib.request.urlopen('http://169.254.169.254/', timeout=3)", "ENETUNREACH"),
    "host's loopback": ("connect(socket.AF_INET, ('127.0.0.1', {port}))", "ECONNREFUSED"),
    "host's loopback over UDP": ("connect(socket.AF_INET, ('127.0.0.1', {port}), socket.SOCK_DGRAM)", "ECONNREFUSED"),
    "the server itself": ("connect(socket.AF_INET, ('127.0.0.1', {port_of_server}))", "ECONNREFUSED"),
    "raw sockets": ("socket.socket(socket.AF_INET, socket.SOCK_RAW, 1)", "EPERM"),
    "raw sockets over IPv6": ("socket.socket(socket.AF_INET6, socket.SOCK_RAW, 58)", "EPERM"),
    "netlink": ("socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, 0)", "ENOTSUP|EOPNOTSUPP"),
    "packets": ("socket.socket(socket.AF_PACKET, socket.SOCK_RAW, 3)", "ENOTSUP|EOPNOTSUPP"),
    "vsock": ("socket.socket(40, socket.SOCK_STREAM)", "ENOTSUP|EOPNOTSUPP"),
    "kernel crypto": ("socket.socket(socket.AF_ALG, socket.SOCK_SEQPACKET)", "ENOTSUP|EOPNOTSUPP"),
    "Bluetooth": ("socket.socket(31, socket.SOCK_RAW, 1)", "ENOTSUP|EOPNOTSUPP"),
    "CAN bus": ("socket.socket(29, socket.SOCK_RAW, 1)", "ENOTSUP|EOPNOTSUPP"),
    "XDP": ("socket.socket(44, socket.SOCK_RAW)", "ENOTSUP|EOPNOTSUPP"),
    "host's UNIX socket": ("connect(socket.AF_UNIX, '{folder}/stream')", "ENOENT"),
    "host's UNIX datagrams": ("connect(socket.AF_UNIX, '{folder}/datagrams', socket.SOCK_DGRAM)", "ENOENT"),
    "host's abstract socket": ("connect(socket.AF_UNIX, chr(0) + '{abstract}')", "ECONNREFUSED"),
    "docker.sock": ("connect(socket.AF_UNIX, '/var/run/docker.sock')", "ENOENT"),
}

FILES: Attempts = {
    "/etc/passwd": ("read('/etc/passwd').count(b'/bin/bash')", "got 0"),
    "/etc/shadow": ("read('/etc/shadow')", "ENOENT"),
    "/etc/machine-id": ("read('/etc/machine-id')", "ENOENT"),
    "/root": ("seen('/root/.bash*') + seen('/root/.profile') + seen('/root/.ssh')", "got []"),
    "/home": ("os.listdir('/home/') + os.listdir('/home/sandbox/..')", "got ['sandbox', 'sandbox']"),
    "/var": ("seen('/var/*')", "got []"),
    "host's /tmp": ("seen('/tmp/traps-*') + seen('/tmp/understudy-run-*')", "got []"),
    "reading a file of the host": ("read('{folder}/canary')", "ENOENT"),
    "writing a file of the host": ("write('{folder}/canary')", "ENOENT"),
    "through the first process's root": ("read('/proc/1/root{folder}/canary')", "ENOENT"),
    "through its working folder": ("read('/proc/1/cwd/../..{folder}/canary')", "ENOENT"),
    "through a link": ("os.symlink('{folder}/canary', 'link') or read('link')", "ENOENT"),
    "the database": ("read('{data_dir}/understudy.db')", "ENOENT"),
    "a neighbour's file": ("read('{theirs}')", "ENOENT"),
    "a neighbour's files": ("seen('{data_dir}/**/theirs') + seen('/mnt/**/theirs')", "got []"),
    "above /mnt/data": ("os.listdir('/mnt/data/..')", "got ['data']"),
    "/": ("create('/')", "EROFS"),
    "/usr": ("create('/usr/bin')", "EROFS"),
    "site-packages": ("create(os.path.dirname(os.path.dirname(__import__('numpy').__file__)))", "EROFS"),
    "the standard library": ("write(os.__file__)", "EACCES|EROFS"),
    "the boot script": ("write('{inside}/boot.py')", "EACCES|EROFS"),
    "/etc": ("create('/etc')", "EROFS"),
    "/dev": ("create('/dev')", "EROFS"),
    "/run": ("create('/run')", "EROFS"),
    "/mnt": ("create('/mnt')", "EROFS"),
    "/proc/sys": ("write('/proc/sys/vm/overcommit_memory')", "EACCES|EROFS"),
    "a character device": ("os.mknod('/tmp/device', 0o20666, os.makedev(1, 1))", "EPERM"),
    "a block device": ("os.mknod('/mnt/data/device', 0o60666, os.makedev(8, 0))", "EPERM"),
    "disks": ("seen('/dev/sd*') + seen('/dev/vd*') + seen('/dev/nvme*')", "got []"),
    "memory of the machine": ("read('/dev/mem')", "EACCES|ENOENT"),
    "messages of the kernel": ("os.open('/dev/kmsg', os.O_RDONLY | os.O_NONBLOCK)", "ENOENT"),
    "core_pattern": ("write('/proc/sys/kernel/core_pattern')", "EACCES|EROFS"),
    "modprobe": ("write('/proc/sys/kernel/modprobe')", "EACCES|ENOENT"),
    "sysrq": ("open('/proc/sysrq-trigger', 'wb')", "EACCES|ENOENT|EROFS"),
    "kcore": ("read('/proc/kcore')", "EACCES|ENOENT"),
    "kallsyms": ("read('/proc/kallsyms')", "EACCES|ENOENT"),
    "kmsg": ("os.open('/proc/kmsg', os.O_RDONLY | os.O_NONBLOCK)", "EACCES|ENOENT"),
    "keys": ("read('/proc/keys')", "EACCES|ENOENT"),
    "memory of the first process": ("write('/proc/1/mem')", "ENOENT"),
    "memory of the parent": ("write(f'/proc/{{parent}}/mem')", "ENOENT"),
    "/sys": ("os.listdir('/sys')", "ENOENT"),
    "cgroups": ("os.listdir('/sys/fs/cgroup')", "ENOENT"),
}

PROCESSES: Attempts = {
    "own environment": ("[name for name in os.environ if 'KEY' in name or name.startswith('UNDERSTUDY')]", "got []"),
    "first process's environment": ("whatever(read, '/proc/1/environ').count(b'canary')", "got 0"),
    "all environments": ("[p for p in glob.glob('/proc/[0-9]*/environ') if b'canary' in whatever(read, p)]", "got []"),
    "parent's command line": (
        "[w for w in (b'understudy', b'pytest') if w in whatever(read, f'/proc/{{parent}}/cmdline')]",
        "got []",
    ),
    "all command lines": ("[p for p in glob.glob('/proc/[0-9]*/cmdline') if b'pytest' in whatever(read, p)]", "got []"),
    "host's processes": ("len(glob.glob('/proc/[0-9]*')) > 3", "got False"),
    "a signal to the server": ("os.kill({pid}, signal.SIGTERM)", "ESRCH"),
    "a signal by descriptor": ("signal.pidfd_send_signal(os.pidfd_open({pid}), signal.SIGTERM)", "ESRCH"),
    "the server's priority": ("os.setpriority(os.PRIO_PROCESS, {pid}, 19)", "ESRCH"),
    "the server's limits": ("resource.prlimit({pid}, resource.RLIMIT_NOFILE, (10, 10))", "ESRCH"),
    "a better priority": ("os.nice(-5)", "EPERM"),
    "real time": ("os.sched_setscheduler(0, os.SCHED_FIFO, os.sched_param(1))", "EPERM"),
    "safety from the killer of hogs": ("open('/proc/self/oom_score_adj', 'wb', 0).write(b'-1000')", "EACCES"),
}

POWERS: Attempts = {
    "user 0": ("os.setuid(0)", "EINVAL|EPERM"),
    "group 0": ("os.setgid(0)", "EINVAL|EPERM"),
    "groups": ("os.setgroups([0])", "EPERM"),
    "su": ("program('su', '-c', 'id')", "ChildProcessError"),
    "a program of root's": (
        "os.chmod('tool', 0o4755) if open('tool', 'w').close() else os.chown('tool', 0, 0)",
        "EINVAL|EPERM",
    ),
    "capabilities": ("call('capset', (ctypes.c_uint32 * 2)(0x20080522), (ctypes.c_uint32 * 6)(*[2**21] * 3))", "EPERM"),
    "new privileges": ("call('prctl', 39, 0, 0, 0, 0)", "got 1"),
    "more processes": ("raised('NPROC')", "ValueError"),
    "more memory": ("raised('AS')", "ValueError"),
    "larger files": ("raised('FSIZE')", "ValueError"),
    "more time": ("raised('CPU')", "ValueError"),
    "chroot": ("os.chroot('/tmp')", "EPERM"),
    "unshare user": ("call('unshare', 0x10000000)", "EPERM"),
    "unshare mount": ("call('unshare', 0x20000)", "EPERM"),
    "unshare network": ("call('unshare', 0x40000000)", "EPERM"),
    "setns": ("call('setns', os.open('/proc/1/ns/mnt', os.O_RDONLY), 0)", "ENOENT"),
    "clone into a user namespace": (
        "syscall(56, 220, 0x10000000 | signal.SIGCHLD, 0, 0, 0, 0) or os._exit(0)",
        "EPERM",
    ),
    "clone3": ("syscall(435, 435, 0, 0)", "ENOSYS"),
    "mount": ("call('mount', b'none', b'/tmp', b'tmpfs', 0, None)", "EPERM"),
    "bind mount": ("call('mount', b'/', b'/mnt/data', b'', 4096, None)", "EPERM"),
    "a mount by descriptor": ("syscall(430, 430, b'tmpfs', 0)", "EPERM"),
    "a tree by descriptor": ("syscall(428, 428, -100, b'/', 1)", "EPERM"),
    "umount": ("call('umount2', b'/proc/sys', 2)", "EPERM"),
    "pivot_root": ("syscall(155, 41, 0, 0)", "EPERM"),
    "ptrace": ("call('ptrace', 16, parent, 0, 0)", "EPERM"),
    "memory of another process": ("syscall(310, 270, parent, 0, 0, 0, 0, 0)", "EPERM"),
    "descriptors of another process": ("syscall(438, 438, os.pidfd_open(parent), 0, 0)", "EPERM"),
    "bpf": ("syscall(321, 280, 0, 0, 0)", "EPERM"),
    "io_uring": ("syscall(425, 425, 1, bytes(256))", "EPERM"),
    "userfaultfd": ("syscall(323, 282, 1)", "EPERM"),
    "perf": ("syscall(298, 241, 0, 0, 0, 0, 0)", "EPERM"),
    "keyctl": ("syscall(250, 219, 0, -3, 0)", "EPERM"),
    "add_key": ("syscall(248, 217, b'user', b'user', 0, 0, -3)", "EPERM"),
    "memfd": ("os.memfd_create('x')", "EPERM"),
    "shared memory": ("syscall(29, 194, 0, 4096, 0o1600)", "EPERM"),
    "message queues": ("syscall(68, 186, 0, 0o1600)", "EPERM"),
    "files by handle": ("syscall(304, 265, -100, 0, 0)", "EPERM"),
    "a kernel module": ("syscall(313, 273, 0, 0, 0)", "EPERM"),
    "another kernel": ("syscall(246, 104, 0, 0, 0, 0)", "EPERM"),
    "reboot": ("syscall(169, 142, 0, 0, 0, 0)", "EPERM"),
    "the clock": ("syscall(164, 170, 0, 0)", "EPERM"),
    "the host's name": ("socket.sethostname('mine')", "EPERM"),
    "the kernel's log": ("syscall(103, 116, 3, 0, 0)", "EPERM"),
    "swap": ("call('swapon', b'/mnt/data/tool', 0)", "EPERM"),
    "typing into a terminal": ("fcntl.ioctl(os.openpty()[1], 0x5412, b'x')", "EPERM"),
}

ON_X86: Attempts = {
    "x32 calls": ("syscall(0x40000000 + 39, 0)", "ENOSYS"),
    "32-bit calls": ("machine_code([0xB8, 20, 0, 0, 0, 0xCD, 0x80, 0xC3])", "ENOSYS"),
    "I/O ports": ("syscall(172, 0, 3)", "EPERM"),
}

REFUSED: Attempts = NETWORK | FILES | PROCESSES | POWERS | (ON_X86 if platform.machine() == "x86_64" else {})

UNWALLED = (
    "host's loopback",
    "host's loopback over UDP",
    "the server itself",
    "netlink",
    "host's UNIX socket",
    "host's UNIX datagrams",
    "host's abstract socket",
    "/var",
    "host's /tmp",
    "reading a file of the host",
    "writing a file of the host",
    "the database",
    "a neighbour's file",
    "a neighbour's files",
    "above /mnt/data",
    "/sys",
    "all environments",
    "parent's command line",
    "host's processes",
    "new privileges",
    "memfd",
    "shared memory",
    "message queues",
)
"""Attempts that do no harm where they succeed, as they do without a wall."""

REFUSING = {"ENOENT": "EACCES", "EROFS": "EACCES", "ESRCH": "EPERM", "ECONNREFUSED": "ENETUNREACH"}
"""Landlock has no root, no processes and no network of its own: what bubblewrap leaves out, it refuses."""
BEHIND_LANDLOCK = {
    # of sockets there are streams of the family UNIX only, and nothing connects
    "raw sockets": "ENETUNREACH",
    "raw sockets over IPv6": "ENETUNREACH",
    "host's UNIX socket": "EPERM",
    "host's UNIX datagrams": "ENOTSUP|EOPNOTSUPP",
    "host's abstract socket": "EPERM",
    "docker.sock": "EPERM",
    # the host's, if there is one
    "/etc/passwd": "EACCES",
    "/etc/machine-id": "EACCES|ENOENT",
    "/home": "EACCES",
    "above /mnt/data": "EACCES",
    # devices are files that no rule lets anybody make, or open
    "a character device": "EACCES",
    "a block device": "EACCES",
    "typing into a terminal": "EACCES",
}


def right(name: str, wall: str) -> list[str]:
    """What an attempt may report behind a wall."""
    reports = REFUSED[name][1]
    if wall == "landlock":
        reports = BEHIND_LANDLOCK.get(name, REFUSING.get(reports, reports))
    return reports.split("|")
