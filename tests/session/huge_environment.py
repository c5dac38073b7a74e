"""A process that /proc shows with an environment of 60 GiB.  SPDX-License-Identifier: Apache-2.0"""
# Its argument is the file to which it writes its id.  prctl(PR_SET_MM, PR_SET_MM_MAP) needs no right.
HUGE_ENVIRONMENT = r"""
import ctypes, os, sys, time
fields = open("/proc/self/stat").read().rpartition(")")[2].split()
start_code, end_code, start_stack = (int(fields[i]) for i in (23, 24, 25))
start_data, end_data, start_brk, arg_start, arg_end = (int(fields[i]) for i in (42, 43, 44, 45, 46))
libc = ctypes.CDLL(None, use_errno=True)
libc.mmap.restype = ctypes.c_void_p
size = 60 << 30
area = libc.mmap(None, ctypes.c_size_t(size), 3, 0x4022, -1, 0)
libc.sbrk.restype = ctypes.c_void_p
class Map(ctypes.Structure):
    _fields_ = [(name, ctypes.c_uint64) for name in ("start_code", "end_code", "start_data", "end_data", "start_brk",
        "brk", "start_stack", "arg_start", "arg_end", "env_start", "env_end", "auxv")] + [
        ("auxv_size", ctypes.c_uint32), ("exe_fd", ctypes.c_uint32)]
made = Map(start_code, end_code, start_data, end_data, start_brk, libc.sbrk(0), start_stack, arg_start, arg_end,
           area, area + size - 1, 0, 0, 0xFFFFFFFF)
if libc.prctl(35, 14, ctypes.byref(made), ctypes.sizeof(made), 0) != 0:
    raise OSError(ctypes.get_errno(), "PR_SET_MM_MAP")
open(sys.argv[1], "w").write(f"{os.getpid()}\n")
time.sleep(1000)
"""
