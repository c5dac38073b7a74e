#!/usr/bin/python3
"""relay.py PORT: joins standard input and output to a port of the loopback: qemu starts one for each connection of a
machine.  SPDX-License-Identifier: Apache-2.0
"""
import os
import socket
import sys
import threading


def copy(read, write, done):
    while block := read():
        while block:
            block = block[write(block):]
    done()


def main(port):
    with socket.create_connection(("127.0.0.1", port)) as peer:
        threading.Thread(target=copy, daemon=True, args=(
            lambda: os.read(0, 65536), peer.send, lambda: peer.shutdown(socket.SHUT_WR))).start()
        copy(lambda: peer.recv(65536), lambda block: os.write(1, block), lambda: None)


if __name__ == "__main__":
    main(int(sys.argv[1]))
