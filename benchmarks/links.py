"""Emulates several machines on one: network namespaces joined by links of a given rate and delay, and mpirun over
them. Needs root and /dev/net/tun. All traffic stays in these namespaces.

Every namespace has one tun device, whose packets a process of this module carries. It delays each packet until the
sender's link would have sent it (rate), and then for the travel time (delay). Packets that exceed the queue are
dropped, as in a switch. The process uses CPU time that real links do not, so speeds measured over them are lower
bounds.
"""

import ctypes
import fcntl
import heapq
import os
import pathlib
import select
import shutil
import signal
import struct
import subprocess
import tempfile
import time

MTU = 9000         # bytes per packet: large packets cost the carrier less time
QUEUE = 0.05       # seconds that a packet may wait in the queue
TUNSETIFF, IFF_TUN, IFF_NO_PI, CLONE_NEWNET = 0x400454CA, 1, 0x1000, 0x40000000


def missing():
    """What this machine lacks for links, or an empty string."""
    if os.geteuid() != 0:
        return "root"
    for program in ("ip", "unshare"):
        if not shutil.which(program):
            return program
    if not os.path.exists("/dev/net/tun"):
        return "/dev/net/tun"
    name = f"folio-{os.getpid()}-0"
    if subprocess.run(["ip", "netns", "add", name], capture_output=True).returncode != 0:
        return "network namespaces"
    subprocess.run(["ip", "netns", "del", name], check=True)
    return ""


def carry(devices, bytes_per_second, delay):
    """Carries packets from each device to the one that they are addressed to, forever."""
    free = {device: 0.0 for device in devices}  # when its link will have sent all its packets
    travelling, number = [], 0
    while True:
        now = time.monotonic()
        while travelling and travelling[0][0] <= now:
            _, _, target, packet = heapq.heappop(travelling)
            try:
                os.write(target, packet)
            except OSError:
                pass  # its namespace is being removed
        wait = max(0.0, travelling[0][0] - now) if travelling else None
        for device in select.select(devices, [], [], wait)[0]:
            packet = os.read(device, 65536)
            target = packet[19] - 1 if packet[0] >> 4 == 4 else -1  # the last byte of its IPv4 address
            now = time.monotonic()
            if not 0 <= target < len(devices) or free[device] - now > QUEUE:
                continue
            free[device] = max(now, free[device]) + len(packet) / bytes_per_second
            number += 1
            heapq.heappush(travelling, (free[device] + delay, number, devices[target], packet))


class Links:
    """A context manager for `count` namespaces. rate: Mbit/s per direction; delay: ms one way."""

    def __init__(self, count, rate, delay):
        self.count, self.rate, self.delay = count, rate, delay
        self.names = [f"folio-{os.getpid()}-{i + 1}" for i in range(count)]
        self.made, self.carrier, self.folder = [], None, None

    def __enter__(self):
        try:
            devices = [self.make(i) for i in range(self.count)]
            self.carrier = os.fork()
            if self.carrier == 0:
                try:
                    carry(devices, self.rate * 1e6 / 8, self.delay / 1e3)
                finally:
                    os._exit(1)
            for device in devices:
                os.close(device)
            self.folder = pathlib.Path(tempfile.mkdtemp(prefix="folio-links-"))
            self.agent = self.folder / "agent"  # called like ssh: AGENT HOST COMMAND
            self.agent.write_text(
                '#!/bin/sh\nhost=$1\nshift\nnumber=${host##*.}\n'
                f'exec ip netns exec folio-{os.getpid()}-$number unshare --uts sh -c '
                '"hostname machine-$number; $*"\n')
            self.agent.chmod(0o755)
        except BaseException:
            self.__exit__()
            raise
        return self

    def make(self, i):
        """Makes a namespace and its device, and returns the device's other end."""
        name = self.names[i]
        subprocess.run(["ip", "netns", "add", name], check=True)
        self.made.append(name)
        libc = ctypes.CDLL(None, use_errno=True)
        with open("/proc/self/ns/net") as here, open(f"/run/netns/{name}") as there:
            if libc.setns(there.fileno(), CLONE_NEWNET) != 0:
                raise OSError(ctypes.get_errno(), f"cannot enter {name}")
            try:
                device = os.open("/dev/net/tun", os.O_RDWR)
                fcntl.ioctl(device, TUNSETIFF, struct.pack("16sH14x", b"wire", IFF_TUN | IFF_NO_PI))
            finally:
                libc.setns(here.fileno(), CLONE_NEWNET)
        for command in (f"addr add 10.77.0.{i + 1}/24 dev wire", f"link set wire mtu {MTU} up", "link set lo up"):
            subprocess.run(["ip", "-n", name, *command.split()], check=True)
        return device

    def __exit__(self, *_):
        if self.carrier:
            os.kill(self.carrier, signal.SIGKILL)
            os.waitpid(self.carrier, 0)
        for name in self.made:
            subprocess.run(["ip", "netns", "del", name])
        if self.folder:
            shutil.rmtree(self.folder)

    def mpirun(self, ranks, mpirun="mpirun"):
        """The start of a command that runs `ranks` ranks, one per namespace."""
        hosts = ",".join(f"10.77.0.{i + 1}:1" for i in range(ranks))
        options = {"plm_rsh_agent": self.agent, "plm_rsh_no_tree_spawn": 1, "btl": "tcp,self",
                   "oob_tcp_if_include": "10.77.0.0/24", "btl_tcp_if_include": "10.77.0.0/24"}
        return [str(self.agent), "10.77.0.1", mpirun, "--allow-run-as-root", "--bind-to", "none",
                *[str(word) for key, value in options.items() for word in ("--mca", key, value)],
                "--host", hosts, "-np", str(ranks)]
