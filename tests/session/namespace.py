"""A machine of the tests' own: mount and process namespaces with private /etc, /run, /dev, /home and /var/log.

Users, PAM files, sudoers, terminals and the installed program live there and vanish with it; the kernel ends every
process that is left.  SPDX-License-Identifier: Apache-2.0
"""
import os
import pathlib
import shutil
import subprocess
import sys

INSIDE = "SESSION_TESTS_ARE_INSIDE"
PRISTINE_PAM = pathlib.Path("/etc/pam.d.pristine")
PEOPLE = {"alice": 64101, "bob": 64102, "carol": 64103}  # each with a group of the same name and number
GROUPS = {"team": 64201, "breakglass": 64202}
TTY_GROUP = 5
DEVICES = ("null", "zero", "full", "random", "urandom", "tty")


def enter():
    """Runs this program again inside, where it is not there yet.  Only root can."""
    if os.geteuid() != 0 or os.environ.pop(INSIDE, None):
        return
    os.execvp("unshare", ["unshare", "--mount", "--pid", "--fork", "--kill-child", "--mount-proc", "--",
                          sys.executable, __file__, *sys.orig_argv])


def is_inside():
    return PRISTINE_PAM.is_dir()


# ---- Setting it up ----------------------------------------------------------------------------------------------


def command(*arguments):
    subprocess.run(arguments, check=True, stdin=subprocess.DEVNULL)


def mount(kind, where, options="mode=0755"):
    command("mount", "-t", kind, "-o", options, "session-tests", str(where))


def private_copy(directory):
    """Puts a copy in memory over DIRECTORY."""
    mount("tmpfs", "/mnt")
    command("cp", "-a", f"{directory}/.", "/mnt")
    command("mount", "--move", "/mnt", directory)


def private_devices():
    """Terminals and the system log of our own; the rest of /dev is what a container has."""
    mount("tmpfs", "/mnt")
    for name in DEVICES:
        node = pathlib.Path("/mnt", name)
        node.touch()
        command("mount", "--bind", f"/dev/{name}", str(node))
    for name, target in (("fd", "/proc/self/fd"), ("stdin", "fd/0"), ("stdout", "fd/1"), ("stderr", "fd/2"),
                         ("ptmx", "pts/ptmx")):
        os.symlink(target, f"/mnt/{name}")
    os.mkdir("/mnt/pts")
    mount("devpts", "/mnt/pts", f"newinstance,ptmxmode=0666,mode=0620,gid={TTY_GROUP}")
    os.mkdir("/mnt/shm")
    mount("tmpfs", "/mnt/shm", "mode=1777")
    command("mount", "--rbind", "/mnt", "/dev")
    command("umount", "--lazy", "/mnt")


def append(path, text):
    with open(path, "a", encoding="utf-8") as file:
        file.write(text)


def add_people():
    for name, number in PEOPLE.items():
        append("/etc/passwd", f"{name}:x:{number}:{number}:{name}:/home/{name}:/bin/sh\n")
        append("/etc/shadow", f"{name}:*:19000:0:99999:7:::\n")
        append("/etc/group", f"{name}:x:{number}:\n")
        home = pathlib.Path("/home", name)
        home.mkdir()
        os.chown(home, number, number)
    for name, number in GROUPS.items():
        append("/etc/group", f"{name}:x:{number}:carol\n")


def install(tree, prefix):
    """Puts what `make install` left in TREE where it belongs."""
    if prefix in ("/", "/usr"):  # nobody can do without the rest of it
        mount("tmpfs", "/mnt")
        os.mkdir("/mnt/upper")
        os.mkdir("/mnt/work")
        mount("overlay", "/usr", "lowerdir=/usr,upperdir=/mnt/upper,workdir=/mnt/work")
        command("umount", "--lazy", "/mnt")
    else:
        os.makedirs(prefix, exist_ok=True)
        mount("tmpfs", prefix)
    command("cp", "-a", "--no-preserve=ownership", f"{tree}/.", "/")
    command("ldconfig")


def set_up():
    for directory, options in (("/run", "mode=0755"), ("/home", "mode=0755"), ("/var/log", "mode=0755")):
        mount("tmpfs", directory, options)
    private_copy("/etc")
    private_devices()
    os.makedirs("/run/sshd", mode=0o755)
    for name in ("/var/log/wtmp", "/var/log/lastlog", "/run/utmp"):
        pathlib.Path(name).touch()
    shutil.copytree("/etc/pam.d", PRISTINE_PAM)
    shutil.rmtree("/etc/sudoers.d", ignore_errors=True)
    add_people()
    tree = os.environ.get("AWSFLOCK_INSTALLED")
    if tree and os.path.isdir(tree):
        install(tree, os.environ["AWSFLOCK_PREFIX"])


def main(arguments):
    """As the namespace's init: sets it up, runs ARGUMENTS there and takes in every orphan until they end."""
    set_up()
    pid = os.fork()
    if pid == 0:
        os.environ[INSIDE] = "yes"
        os.execv(arguments[0], arguments)
    while True:
        ended, status = os.wait()
        if ended == pid:
            sys.stdout.flush()
            os._exit(max(os.waitstatus_to_exitcode(status), 0) or (1 if status else 0))


if __name__ == "__main__":
    main(sys.argv[1:])
