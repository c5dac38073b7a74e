#!/usr/bin/python3
"""seccomp.py CALL=ERROR... -- COMMAND...: runs COMMAND where each system call CALL fails with ERROR, as a sandbox's or
an old container's filter has it; ERROR 0: it does nothing and succeeds.  SPDX-License-Identifier: Apache-2.0
"""
import ctypes
import errno
import os
import platform
import struct
import sys

PR_SET_NO_NEW_PRIVS, PR_SET_SECCOMP, SECCOMP_MODE_FILTER = 38, 22, 2  # linux/prctl.h, linux/seccomp.h
RET_ERRNO, RET_ALLOW = 0x00050000, 0x7FFF0000  # linux/seccomp.h
LOAD_WORD, JUMP_IF_EQUAL, RETURN = 0x20, 0x15, 0x06  # linux/bpf_common.h: LD|W|ABS, JMP|JEQ|K, RET|K
NUMBERS = {"x86_64": {"adjtimex": (159, 305), "setresgid": (119,)},  # libc may call clock_adjtime()
           "aarch64": {"adjtimex": (171, 266), "setresgid": (149,)}}
NUMBERS_EVERYWHERE = {"pidfd_open": (434,), "pidfd_send_signal": (424,)}


def numbers(call):
    return NUMBERS_EVERYWHERE.get(call) or NUMBERS[platform.machine()][call]


def instruction(code, value, if_true=0, if_false=0):
    return struct.pack("HBBI", code, if_true, if_false, value)


def forbid(calls):
    """CALLS: (name, errno).  For this process and all that it starts."""
    program = instruction(LOAD_WORD, 0)  # struct seccomp_data: the call's number comes first
    for call, number in calls:
        for each in numbers(call):
            program += instruction(JUMP_IF_EQUAL, each, 0, 1) + instruction(RETURN, RET_ERRNO | number)
    program += instruction(RETURN, RET_ALLOW)
    text = ctypes.create_string_buffer(program, len(program))
    filters = struct.pack("HxxxxxxP", len(program) // 8, ctypes.addressof(text))
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0 or libc.prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, filters) != 0:
        raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()))


def main(arguments):
    end = arguments.index("--")
    calls = [word.split("=") for word in arguments[:end]]
    forbid([(call, getattr(errno, error) if error != "0" else 0) for call, error in calls])
    os.execvp(arguments[end + 1], arguments[end + 1:])


if __name__ == "__main__":
    main(sys.argv[1:])
