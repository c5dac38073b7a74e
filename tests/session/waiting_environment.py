"""A process whose environment nobody can read to its end: its pages are those of a file whose file system never answers.

SPDX-License-Identifier: Apache-2.0"""
import os
import pathlib
import stat

DEVICE = pathlib.Path("/dev/fuse")
# Its argument is the file to which it writes its id.  Mounts need no right in a user namespace of one's own; the rest
# is huge_environment.py's.
WAITING_ENVIRONMENT = r"""
import ctypes, os, struct, sys, tempfile, time
libc = ctypes.CDLL(None, use_errno=True)
libc.mmap.restype = libc.sbrk.restype = ctypes.c_void_p
told = os.path.abspath(sys.argv[1])
def check(result, what):
    if result != 0:
        raise OSError(ctypes.get_errno(), what)
def answer(device, unique, data):
    os.write(device, struct.pack("<IiQ", 16 + len(data), 0, unique) + data)
ATTRIBUTES = struct.pack("<6Q10I", 2, 4096, 8, 0, 0, 0, 0, 0, 0, 0o100444, 1, 0, 0, 0, 4096, 0)
def serve(device):
    while True:
        request = os.read(device, 1 << 17)
        _, opcode, unique = struct.unpack_from("<IIQ", request)
        if opcode == 26:  # FUSE_INIT
            answer(device, unique, struct.pack("<4I2H2I", 7, 12, 4096, 0, 0, 0, 4096, 0))
        elif opcode == 1:  # FUSE_LOOKUP
            answer(device, unique, struct.pack("<4Q2I", 2, 0, 3600, 3600, 0, 0) + ATTRIBUTES)
        elif opcode == 3:  # FUSE_GETATTR
            answer(device, unique, struct.pack("<Q2I", 3600, 0, 0) + ATTRIBUTES)
        elif opcode == 14:  # FUSE_OPEN
            answer(device, unique, struct.pack("<Q2I", 0, 0, 0))
        # FUSE_READ is never answered.
uid, gid, place = os.getuid(), os.getgid(), tempfile.mkdtemp()
check(libc.unshare(0x10020000), "unshare")  # CLONE_NEWUSER, CLONE_NEWNS
open("/proc/self/setgroups", "w").write("deny")
open("/proc/self/uid_map", "w").write(f"0 {uid} 1")
open("/proc/self/gid_map", "w").write(f"0 {gid} 1")
device = os.open("/dev/fuse", os.O_RDWR)
options = f"fd={device},rootmode=40000,user_id=0,group_id=0".encode()
check(libc.mount(b"attack", place.encode(), b"fuse", 6, options), "mount")
if os.fork() == 0:
    serve(device)
os.close(device)  # else its own end would wait for itself
file = os.open(place + "/file", os.O_RDONLY)
area = libc.mmap(None, 4096, 1, 2, file, 0)
fields = open("/proc/self/stat").read().rpartition(")")[2].split()
start_code, end_code, start_stack = (int(fields[i]) for i in (23, 24, 25))
start_data, end_data, start_brk, arg_start, arg_end = (int(fields[i]) for i in (42, 43, 44, 45, 46))
class Map(ctypes.Structure):
    _fields_ = [(name, ctypes.c_uint64) for name in ("start_code", "end_code", "start_data", "end_data", "start_brk",
        "brk", "start_stack", "arg_start", "arg_end", "env_start", "env_end", "auxv")] + [
        ("auxv_size", ctypes.c_uint32), ("exe_fd", ctypes.c_uint32)]
made = Map(start_code, end_code, start_data, end_data, start_brk, libc.sbrk(0), start_stack, arg_start, arg_end,
           area, area + 4095, 0, 0, 0xFFFFFFFF)
check(libc.prctl(35, 14, ctypes.byref(made), ctypes.sizeof(made), 0), "PR_SET_MM_MAP")
open(told, "w").write(f"{os.getpid()}\n")
time.sleep(1000)
"""


def make_device():
    """Lets everybody open DEVICE, as most machines do; OSError where this one has none."""
    if not DEVICE.exists():
        os.mknod(DEVICE, stat.S_IFCHR | 0o666, os.makedev(10, 229))
        DEVICE.chmod(0o666)
    os.close(os.open(DEVICE, os.O_RDWR))
