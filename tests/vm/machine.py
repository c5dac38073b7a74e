"""A virtual machine under qemu: started, told what to do, paused, and cut from its power.

It has no network but its own loopback and, where a test names one, a single port on this machine's loopback.  Its disk
is a snapshot over the image, kept from one start to the next.  SPDX-License-Identifier: Apache-2.0
"""
import json
import os
import pathlib
import queue
import socket
import subprocess
import threading

HERE = pathlib.Path(__file__).resolve().parent
BOOT_S = 600  # a machine that is emulated on a busy one
TABLE_ADDRESS = "10.0.2.100"


def accelerator(image):
    """KVM where a stock kernel comes up under it; a nested one may open, and then crawl or stop."""
    if not os.access("/dev/kvm", os.R_OK | os.W_OK):
        return "tcg"
    probe = ["qemu-system-x86_64", "-accel", "kvm", "-cpu", "host", "-m", "256", "-nographic", "-no-reboot", "-nic", "none",
             "-kernel", str(image / "kernel"), "-append", "console=ttyS0 panic=-1"]
    try:
        done = subprocess.run(probe, stdin=subprocess.DEVNULL, capture_output=True, timeout=20, check=False)
    except subprocess.TimeoutExpired:
        return "tcg"
    # Without a disk it panics, which is as far as it can come.
    return "kvm" if b"Kernel panic" in done.stdout else "tcg"


class Line:
    """One connection to qemu, line by line, each of JSON."""

    def __init__(self, path):
        self.socket = socket.socket(socket.AF_UNIX)
        self.socket.connect(str(path))
        self.file = self.socket.makefile("rwb", buffering=0)

    def send(self, message):
        self.file.write(json.dumps(message).encode() + b"\n")

    def receive(self):
        line = self.file.readline()
        return json.loads(line) if line else None

    def close(self):
        self.file.close()
        self.socket.close()


class Machine:
    def __init__(self, image, directory, table_port=None, memory="768", acceleration="tcg", disk=None,
                 kernel_arguments=""):
        self.image = pathlib.Path(image)
        self.directory = pathlib.Path(directory)
        self.directory.mkdir(parents=True, exist_ok=True)
        self.disk = self.directory / "disk.qcow2"
        self.second_disk = disk
        self.table_port = table_port
        self.memory = memory
        self.acceleration = acceleration
        self.kernel_arguments = kernel_arguments
        self.process = None
        self.answers = {}
        self.number = 0
        subprocess.run(["qemu-img", "create", "-q", "-f", "qcow2", "-F", "raw", "-b", str(self.image / "disk.img"),
                        str(self.disk)], check=True)

    # -- power

    def command_line(self):
        network = ["-nic", "none"]
        if self.table_port:
            # qemu would make a single connection by itself; a program is started for each.
            forward = f"guestfwd=tcp:{TABLE_ADDRESS}:8000-cmd:/usr/bin/python3 {HERE / 'relay.py'} {self.table_port}"
            network = ["-netdev", f"user,id=net,restrict=on,{forward}", "-device", "virtio-net-pci,netdev=net"]
        second = ["-drive", f"file={self.second_disk},if=virtio,format=raw,readonly=on"] if self.second_disk else []
        return ["qemu-system-x86_64", "-accel", self.acceleration, "-cpu", "max" if self.acceleration == "tcg" else "host",
                "-m", self.memory, "-smp", "2", "-nodefaults", "-display", "none", "-no-reboot", *network,
                "-serial", f"file:{self.directory / 'console.log'}",
                "-kernel", str(self.image / "kernel"), "-initrd", str(self.image / "initrd"),
                "-append", f"root=/dev/vda rw console=ttyS0 audit=1 systemd.show_status=0 {self.kernel_arguments}",
                "-drive", f"file={self.disk},if=virtio,format=qcow2,cache=unsafe",
                *second, "-device", "virtio-serial", "-device", "virtserialport,chardev=agent,name=awsflock.agent",
                "-chardev", f"socket,id=agent,path={self.directory / 'agent'},server=on,wait=off",
                "-qmp", f"unix:{self.directory / 'monitor'},server=on,wait=off"]

    def start(self):
        """Returns once it has come up."""
        log = open(self.directory / "qemu.log", "ab")
        self.process = subprocess.Popen(self.command_line(), stdin=subprocess.DEVNULL, stdout=log, stderr=log)
        log.close()
        self.agent = self.connect("agent")
        self.monitor = self.connect("monitor")
        self.monitor.receive()
        self.tell("qmp_capabilities")
        self.answers = {0: queue.Queue()}
        threading.Thread(target=self.listen, args=(self.agent, self.answers), daemon=True).start()
        try:
            self.answers[0].get(timeout=BOOT_S)
        except queue.Empty:
            self.cut_power()
            raise AssertionError("the machine did not come up:\n" + self.console()[-3000:]) from None
        # Until then pam_nologin lets nobody in.
        self.run("systemctl is-system-running --wait", timeout=BOOT_S)

    def connect(self, name):
        path = self.directory / name
        while True:
            try:
                return Line(path)
            except OSError as error:
                if self.process.poll() is not None:
                    said = (self.directory / "qemu.log").read_text(errors="replace")
                    raise AssertionError(f"qemu has ended: {said}") from error
                try:
                    self.process.wait(0.05)
                except subprocess.TimeoutExpired:
                    pass

    def console(self):
        return (self.directory / "console.log").read_text(errors="replace")

    def tell(self, command, **arguments):
        """An order to qemu itself, as its QMP has them."""
        self.monitor.send({"execute": command, "arguments": arguments})
        while True:
            answer = self.monitor.receive()
            if answer is None or "return" in answer:
                return answer and answer["return"]
            if "error" in answer:
                raise AssertionError(f"{command}: {answer['error']}")

    def pause(self):
        self.tell("stop")

    def go_on(self):
        self.tell("cont")

    def tell_person(self, line):
        """An order as a person types it at qemu's monitor: one that succeeds says nothing."""
        said = self.tell("human-monitor-command", **{"command-line": line})
        if said:
            raise AssertionError(f"{line}: {said}")

    def save(self, name):
        """Keeps its disk and memory as they are now, under NAME."""
        self.tell_person(f"savevm {name}")

    def go_back(self, name):
        """To what was saved under NAME.  What was begun before that ends, and answers, once more."""
        self.tell_person(f"loadvm {name}")

    def cut_power(self):
        """At once, whatever it is doing."""
        if self.process:
            self.process.kill()
            self.process.wait()
            self.agent.close()
            self.monitor.close()
            self.process = None
            for name in ("agent", "monitor"):
                (self.directory / name).unlink(missing_ok=True)

    def reset(self):
        self.cut_power()
        self.start()

    # -- orders

    @staticmethod
    def listen(agent, answers):
        try:
            for message in iter(agent.receive, None):
                answers[message["id"]].put(message)
        except (OSError, ValueError):
            pass  # its power was cut
        for waiting in list(answers.values()):
            waiting.put(None)

    def begin(self, script, user=None, timeout=120, stdin=""):
        """Starts a shell SCRIPT as USER (root), and returns what end() waits for."""
        argv = ["/bin/sh", "-c", script] if user is None else ["runuser", "-u", user, "--", "/bin/sh", "-c", script]
        self.number += 1
        number = self.number
        self.answers[number] = queue.Queue()
        self.agent.send({"id": number, "argv": argv, "timeout": timeout, "input": stdin})
        return number, timeout

    def end(self, begun):
        number, timeout = begun
        answer = self.answers[number].get(timeout=timeout + BOOT_S)
        if answer is None:
            raise AssertionError("the machine went down meanwhile")
        return answer["code"], answer["out"], answer["err"]

    def run(self, script, **more):
        """(exit code, or None where the time was up; stdout; stderr) of a shell script."""
        return self.end(self.begin(script, **more))
