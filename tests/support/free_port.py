#!/usr/bin/python3
"""free_port.py: prints a port on which nobody listens.
free_port.py --until-it-answers URL PID: returns once URL answers; fails where process PID ends first.

SPDX-License-Identifier: Apache-2.0
"""
import sys

from awsflocktest import answers, free_port, process_state, wait_until


def main(arguments):
    if not arguments:
        print(free_port())
        return 0
    if len(arguments) != 3 or arguments[0] != "--until-it-answers":
        sys.exit(__doc__)
    url, pid = arguments[1:]

    def has_ended():
        return process_state(pid) in (None, "Z")

    wait_until(lambda: has_ended() or answers(url), 90, "an answer")
    return 1 if has_ended() else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
