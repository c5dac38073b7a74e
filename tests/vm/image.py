#!/usr/bin/python3
"""image.py SOURCE DIRECTORY: makes a Debian 12 machine with awsflock in it, installed as README tells a bastion's
administrator to, word for word.

The result is DIRECTORY/disk.img, kernel and initrd.  What comes from Debian's packages alone is kept as a base-*.tar
beside them and used again as long as the list of packages stays.  Needs root, mmdebstrap and mke2fs.
SPDX-License-Identifier: Apache-2.0
"""
import hashlib
import os
import pathlib
import re
import shutil
import subprocess
import sys
import time

HERE = pathlib.Path(__file__).resolve().parent
SUITE = "bookworm"
SYSTEM = ("linux-image-amd64", "systemd", "systemd-sysv", "dbus", "libpam-systemd", "udev", "kmod", "iproute2", "procps",
          "passwd", "login", "util-linux", "auditd", "openssh-server", "openssh-client", "sudo", "python3-minimal",
          "libpython3-stdlib", "at", "cron",
          "tmux", "policykit-1", "expect", "apparmor", "policycoreutils", "selinux-policy-default")
# What ./quickstart would install.
BUILD = ("gcc", "libc6-dev", "make", "autoconf", "automake", "libtool", "pkg-config", "libcurl4-openssl-dev", "libssl-dev",
         "libjson-c-dev", "libpam0g-dev", "ca-certificates", "git")
PEOPLE = ("alice", "bob", "admin")
SIZE = "4G"
AGENT = """[Unit]
Description=what the tests outside have this machine do
[Service]
ExecStart=/usr/local/sbin/awsflock-test-agent
Restart=always
KillMode=process
OOMScoreAdjust=-1000
[Install]
WantedBy=multi-user.target
"""


def run(*command, **options):
    subprocess.run(command, check=True, stdin=subprocess.DEVNULL, **options)


def in_root(root, script, **options):
    """Runs SCRIPT as root would there, with /proc and /dev, and without a network."""
    run("unshare", "--mount", "--uts", "--pid", "--net", "--fork", "--kill-child", "sh", "-euc",
        'hostname localhost; mount -t proc proc "$0/proc"; mount --rbind /dev "$0/dev"; exec chroot "$0" /bin/sh -euc "$1"', str(root), script,
        env={"PATH": "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin", "HOME": "/root", "LC_ALL": "C.UTF-8",
             "DEBIAN_FRONTEND": "noninteractive"}, **options)


def base(directory, packages=SYSTEM + BUILD):
    """A tar file of the system without awsflock."""
    packages = ",".join(packages)
    tar = directory / f"base-{hashlib.sha256(packages.encode()).hexdigest()[:16]}.tar"
    if not tar.exists():
        new = directory / f"new-{tar.name}"
        run("mmdebstrap", "--quiet", "--variant=minbase", "--mode=root", f"--include={packages}", SUITE, str(new))
        new.rename(tar)
    return tar


def recipe(readme):
    """The shell lines of the first step under "Guard a bastion": how to install."""
    part = readme.split("## Guard a bastion in five minutes")[1]
    block = re.search(r"^1\. .*?```sh\n(.*?)```.*?^2\. ", part, re.S | re.M)
    if not block:
        sys.exit('README.md: no shell lines in step 1 of "Guard a bastion in five minutes"')
    return re.sub(r"(?m)^ +", "", block.group(1))


def copy_source(source, root):
    """The files that git knows, as a fresh clone has them."""
    target = root / "root/awsflock"
    names = subprocess.run(["git", "-C", source, "ls-files", "-z"], check=True, capture_output=True).stdout.split(b"\0")
    for name in filter(None, (os.fsdecode(name) for name in names)):
        if (source / name).exists():
            (target / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(source / name, target / name)


def install(source, root):
    copy_source(source, root)
    # Its way is root's own here: sudo asks nothing of root.
    in_root(root, "cd /root/awsflock\n" + recipe((source / "README.md").read_text(encoding="utf-8")),
            stdout=subprocess.DEVNULL)


def add_people(root):
    script = "install -d -m 0700 /root/.ssh; ssh-keygen -q -t ed25519 -N '' -f /root/.ssh/id_ed25519\n"
    for person in PEOPLE:
        script += f"""useradd -m -s /bin/bash {person}
            install -d -m 0700 -o {person} -g {person} /home/{person}/.ssh
            install -m 0600 -o {person} -g {person} /root/.ssh/id_ed25519.pub /home/{person}/.ssh/authorized_keys
            echo '{person} ALL=(ALL:ALL) NOPASSWD: ALL' >/etc/sudoers.d/{person}\n"""
    script += "passwd -q -d root; ssh-keygen -A >/dev/null; systemd-machine-id-setup 2>/dev/null\n"
    script += "printf '127.0.0.1 localhost bastion\\n' >/etc/hosts; echo bastion >/etc/hostname\n"
    script += "echo 'StrictHostKeyChecking no' >>/etc/ssh/ssh_config\n"
    script += "printf '[Match]\\nName=en*\\n[Network]\\nDHCP=yes\\n' >/etc/systemd/network/en.network\n"
    script += "systemctl -q enable awsflock-test-agent systemd-networkd\n"
    in_root(root, script)


def add_agent(root):
    agent = root / "usr/local/sbin/awsflock-test-agent"
    shutil.copy(HERE / "agent.py", agent)
    agent.chmod(0o755)
    (root / "etc/systemd/system/awsflock-test-agent.service").write_text(AGENT, encoding="utf-8")


def add_selinux(root):
    """The module, and a label for each file: only a machine that is started with security=selinux looks at them."""
    in_root(root, """semodule -n -i /usr/local/share/selinux/packages/awsflock.cil
        setfiles -F -e /dev -e /proc -e /sys /etc/selinux/default/contexts/files/file_contexts /""")


def main(source, directory):
    began = time.monotonic()
    directory.mkdir(parents=True, exist_ok=True)
    root = directory / "root"
    shutil.rmtree(root, ignore_errors=True)
    root.mkdir()
    run("tar", "-C", str(root), "-xf", str(base(directory)))
    add_agent(root)
    add_people(root)
    install(source, root)
    add_selinux(root)
    [kernel] = root.glob("boot/vmlinuz-*")
    [initrd] = root.glob("boot/initrd.img-*")
    shutil.copy(kernel, directory / "kernel")
    shutil.copy(initrd, directory / "initrd")
    run("mke2fs", "-q", "-F", "-t", "ext4", "-d", str(root), str(directory / "disk.new"), SIZE)
    os.rename(directory / "disk.new", directory / "disk.img")
    shutil.rmtree(root)
    print(f"the machine's image was made in {time.monotonic() - began:.0f} s")


if __name__ == "__main__":
    if len(sys.argv) != 3:
        sys.exit(__doc__)
    main(pathlib.Path(sys.argv[1]).resolve(), pathlib.Path(sys.argv[2]).resolve())
