"""Certificates of a test's own: an authority, and servers it vouches for, good and bad.  Made by openssl(1).

SPDX-License-Identifier: Apache-2.0
"""
import datetime
import pathlib
import ssl
import subprocess
import warnings

LOOPBACK = "IP:127.0.0.1,DNS:localhost"
NEW_KEY = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes"]
DAY = datetime.timedelta(days=1)
CA_CONFIG = """
[ca]
default_ca = ours
[ours]
database = index.txt
new_certs_dir = .
default_md = sha256
policy = any
rand_serial = yes
unique_subject = no
copy_extensions = copy
[any]
commonName = supplied
"""


def openssl(*arguments, cwd):
    subprocess.run(["openssl", *arguments], cwd=cwd, check=True, stdin=subprocess.DEVNULL, capture_output=True)


class Authority:
    """In DIRECTORY: bundle (a PEM file), hashed (a directory that OpenSSL can look a name up in)."""

    def __init__(self, directory, name="awsflock test authority"):
        self.directory = pathlib.Path(directory)
        self.directory.mkdir()
        self.bundle = self.directory / "authority.pem"
        openssl("req", "-x509", *NEW_KEY, "-keyout", "authority.key", "-out", "authority.pem", "-days", "30",
                "-subj", f"/CN={name}", cwd=self.directory)
        (self.directory / "index.txt").touch()
        (self.directory / "ca.conf").write_text(CA_CONFIG, encoding="ascii")
        self.hashed = self.directory / "hashed"
        self.hashed.mkdir()
        (self.hashed / "authority.pem").write_bytes(self.bundle.read_bytes())
        openssl("rehash", "hashed", cwd=self.directory)

    def server(self, names=LOOPBACK, first=-DAY, last=DAY, newest=None, self_signed=False):
        """An ssl.SSLContext for a server whose certificate is for NAMES, from now + FIRST to now + LAST."""
        number = len(list(self.directory.glob("server*.pem")))
        key, certificate, request = f"server{number}.key", f"server{number}.pem", f"server{number}.csr"
        subject = [*NEW_KEY, "-keyout", key, "-subj", "/CN=test server", "-addext", f"subjectAltName={names}"]
        if self_signed:
            openssl("req", "-x509", *subject, "-out", certificate, "-days", "30", cwd=self.directory)
        else:
            openssl("req", "-new", *subject, "-out", request, cwd=self.directory)
            now = datetime.datetime.utcnow()
            openssl("ca", "-batch", "-notext", "-config", "ca.conf", "-cert", "authority.pem",
                    "-keyfile", "authority.key", "-in", request, "-out", certificate,
                    "-startdate", f"{now + first:%Y%m%d%H%M%SZ}", "-enddate", f"{now + last:%Y%m%d%H%M%SZ}",
                    cwd=self.directory)
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(self.directory / certificate, self.directory / key)
        if newest is not None:
            context.set_ciphers("DEFAULT@SECLEVEL=0")
            with warnings.catch_warnings():  # old versions are the point
                warnings.simplefilter("ignore", DeprecationWarning)
                context.minimum_version = ssl.TLSVersion.TLSv1
                context.maximum_version = newest
        return context
