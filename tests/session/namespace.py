"""A machine of the tests' own: mount and process namespaces with private /etc, /run, /dev, /home and /var/log.

Users, PAM files, sudoers, terminals and the installed program live there and vanish with it; the kernel ends every
process that is left.  Nothing is written through to the real machine's directories: what is not in memory here is
only looked at.  SPDX-License-Identifier: Apache-2.0
"""
import contextlib
import ctypes
import os
import pathlib
import shutil
import socket
import subprocess
import sys

INSIDE = "SESSION_TESTS_ARE_INSIDE"
LOOKS = "SESSION_TESTS_LOOK"  # set: there is no control group to be had in here
CGROUPS = pathlib.Path("/run/control-groups")
PRISTINE_PAM = pathlib.Path("/etc/pam.d.pristine")
PEOPLE = {"alice": 64101, "bob": 64102, "carol": 64103}  # each with a group of the same name and number
GROUPS = {"team": 64201, "breakglass": 64202}
TTY_GROUP = 5
DEVICES = ("null", "zero", "full", "random", "urandom", "tty")
LIBC = ctypes.CDLL(None, use_errno=True)
MS_BIND, MS_REC = 0x1000, 0x4000  # linux/mount.h
CLONE_NEWCGROUP = 0x02000000  # linux/sched.h
IN_MEMORY = set()  # the devices of the file systems that were made here


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
    command("mount", "-n", "-t", kind, "-o", options, "session-tests", str(where))
    if kind == "tmpfs":
        IN_MEMORY.add(os.stat(where).st_dev)


def bind(path, where):
    """As mount --rbind, which a directory of programs would call thousands of times."""
    if LIBC.mount(os.fsencode(path), os.fsencode(where), None, MS_BIND | MS_REC, None) != 0:
        raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()), path)


def private_copy(directory):
    """Puts a copy in memory over DIRECTORY."""
    mount("tmpfs", "/mnt")
    command("cp", "-a", f"{directory}/.", "/mnt")
    command("mount", "-n", "--move", "/mnt", directory)


def private_devices():
    """Terminals and the system log of our own; the rest of /dev is what a container has."""
    mount("tmpfs", "/mnt")
    for name in DEVICES:
        node = pathlib.Path("/mnt", name)
        node.touch()
        command("mount", "-n", "--bind", f"/dev/{name}", str(node))
    for name, target in (("fd", "/proc/self/fd"), ("stdin", "fd/0"), ("stdout", "fd/1"), ("stderr", "fd/2"),
                         ("ptmx", "pts/ptmx")):
        os.symlink(target, f"/mnt/{name}")
    os.mkdir("/mnt/pts")
    mount("devpts", "/mnt/pts", f"newinstance,ptmxmode=0666,mode=0620,gid={TTY_GROUP}")
    os.mkdir("/mnt/shm")
    mount("tmpfs", "/mnt/shm", "mode=1777")
    command("mount", "-n", "--rbind", "/mnt", "/dev")
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


def settle_host():
    """What a machine's administrator has seen to, whatever this one's: its name is known, and root alone leaves jobs."""
    append("/etc/hosts", f"127.0.0.1 localhost {socket.gethostname()}\n")
    for name in ("/etc/cron.allow", "/etc/at.allow"):
        pathlib.Path(name).write_text("root\n", encoding="ascii")


def overlay(directory):
    """Puts a file system in memory over DIRECTORY, with the machine's own files and directories bound in it.

    overlayfs would do the same, but is not there in every container."""
    if directory == "/":
        raise SystemExit("The session tests cannot put anything beside /usr and /etc: configure with another --prefix.")
    mount("tmpfs", "/mnt", f"mode={os.stat(directory).st_mode & 0o7777:04o}")
    for entry in os.scandir(directory):
        place = f"/mnt/{entry.name}"
        if entry.is_symlink():
            os.symlink(os.readlink(entry.path), place)
        else:
            if entry.is_dir():
                os.mkdir(place)
            else:
                pathlib.Path(place).touch()
            bind(entry.path, place)
    command("mount", "-n", "--move", "/mnt", directory)


def room(directory):
    """DIRECTORY as one to write to: made where there is none, and put in memory where it is the machine's own."""
    directory = os.path.realpath(directory)
    if not os.path.isdir(directory):
        os.mkdir(os.path.join(room(os.path.dirname(directory)), os.path.basename(directory)))
    elif os.stat(directory).st_dev not in IN_MEMORY:
        overlay(directory)
    return directory


def put(source, directory):
    """Copies a file or a symbolic link into DIRECTORY, in the place of one that an earlier installation left."""
    place = os.path.join(room(directory), source.name)
    if os.path.ismount(place):
        command("umount", place)
    if os.path.lexists(place):
        os.unlink(place)
    shutil.copy2(source, place, follow_symlinks=False)


def install(tree, prefix):
    """Puts what `make install` left in TREE where it belongs."""
    if prefix not in ("/", "/usr"):  # nobody can do without the rest of those
        mount("tmpfs", room(prefix))
    for source in sorted(pathlib.Path(tree).rglob("*")):
        if source.is_symlink() or not source.is_dir():
            put(source, "/" / source.parent.relative_to(tree))
    mount("tmpfs", room("/var/cache/ldconfig"))
    command("ldconfig", "-X")  # makes no links in directories that are not ours


class ControlGroups:
    """Control groups of our own: a group of the machine's, which is the root of all that are seen in here."""

    def __init__(self):
        self.outside = None
        try:
            CGROUPS.mkdir()
            mount("cgroup2", CGROUPS, "rw")
            self.outside = CGROUPS / self._own_group() / f"session-tests-{os.urandom(6).hex()}"
            self.outside.mkdir()
            self._parent = os.open(self.outside.parent, os.O_RDONLY | os.O_DIRECTORY)
            self.add_self(self._parent, self.outside.name + "/cgroup.procs")
        except (OSError, subprocess.CalledProcessError) as error:
            print(f"# control groups are not tested: {error}", file=sys.stderr)
            return
        if LIBC.unshare(CLONE_NEWCGROUP) != 0:
            raise OSError(ctypes.get_errno(), "unshare")
        command("umount", "--lazy", str(CGROUPS))  # it is open
        if not os.environ.get(LOOKS):
            mount("cgroup2", CGROUPS, "rw")

    @staticmethod
    def _own_group():
        for line in pathlib.Path("/proc/self/cgroup").read_text(encoding="utf-8").splitlines():
            if line.startswith("0::/"):
                return line[len("0::/"):]
        raise OSError("no group of the unified hierarchy")

    @staticmethod
    def add_self(directory, name):
        file = os.open(name, os.O_WRONLY, dir_fd=directory)
        os.write(file, b"0")
        os.close(file)

    def remove(self):
        """With every process in here but this one."""
        if self.outside is None:
            return
        self.add_self(self._parent, "cgroup.procs")
        place = f"/proc/self/fd/{self._parent}/{self.outside.name}"
        while True:
            pathlib.Path(place, "cgroup.kill").write_text("1", encoding="ascii")
            for directory, _, _ in os.walk(place, topdown=False):
                with contextlib.suppress(OSError):
                    os.rmdir(directory)
            if not os.path.exists(place):
                return
            with contextlib.suppress(ChildProcessError):
                os.waitpid(-1, os.WNOHANG)


def has_control_groups():
    return os.path.ismount(CGROUPS)


def set_up():
    os.umask(0o022)  # whatever the caller's is: people in here must get at what belongs to all
    for directory, options in (("/run", "mode=0755"), ("/home", "mode=0755"), ("/var/log", "mode=0755")):
        mount("tmpfs", directory, options)
    private_copy("/etc")
    private_devices()
    # Root's stores are there, and the configuration where the module looks for it; nothing may be installed.
    for directory in ("/var/lib", os.environ.get("AWSFLOCK_SYSCONFDIR", "/usr/local/etc")):
        room(directory)
    os.makedirs("/run/sshd", mode=0o755)
    for name in ("/var/log/wtmp", "/var/log/lastlog", "/run/utmp"):
        pathlib.Path(name).touch()
    shutil.copytree("/etc/pam.d", PRISTINE_PAM)
    shutil.rmtree("/etc/sudoers.d", ignore_errors=True)
    add_people()
    settle_host()
    tree = os.environ.get("AWSFLOCK_INSTALLED")
    if tree and os.path.isdir(tree):
        install(tree, os.environ["AWSFLOCK_PREFIX"])
        room(os.environ["AWSFLOCK_SYSCONFDIR"])  # the prefix may have been put over it


def main(arguments):
    """As the namespace's init: sets it up, runs ARGUMENTS there and takes in every orphan until they end."""
    set_up()
    groups = ControlGroups()
    pid = os.fork()
    if pid == 0:
        os.environ[INSIDE] = "yes"
        os.execv(arguments[0], arguments)
    while True:
        ended, status = os.wait()
        if ended == pid:
            groups.remove()
            sys.stdout.flush()
            os._exit(max(os.waitstatus_to_exitcode(status), 0) or (1 if status else 0))


if __name__ == "__main__":
    main(sys.argv[1:])
