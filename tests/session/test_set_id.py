"""A set-id program is not led by whoever starts it: it reads the system's configuration file alone.

SPDX-License-Identifier: Apache-2.0
"""
import os
import pathlib
import shutil
import socket
import sys

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent))
from guardtest import CONF, PROGRAM, DynamoDBSettings, section, write_conf  # noqa: E402
from sessiontest import PEOPLE, SessionTest  # noqa: E402

SET_ID = f"{PROGRAM}-set-id"
SYSTEMS_STORE = pathlib.Path("/run/the-systems-store")
OWN_STORE = pathlib.Path("/run/alices-store")
OWN_CONF = pathlib.Path("/home/alice/own.conf")


class SetIdTest(SessionTest):
    def setUp(self):
        super().setUp()
        shutil.copyfile(PROGRAM, SET_ID)
        os.chown(SET_ID, PEOPLE["bob"], PEOPLE["bob"])
        os.chmod(SET_ID, 0o4755)
        self.addCleanup(os.unlink, SET_ID)
        for store, owner in ((SYSTEMS_STORE, PEOPLE["bob"]), (OWN_STORE, PEOPLE["alice"])):
            shutil.rmtree(store, ignore_errors=True)
            store.mkdir(mode=0o700)
            os.chown(store, owner, owner)
        write_conf(section("awsflock", {"store": "local", "local_dir": str(SYSTEMS_STORE)}))
        self.addCleanup(CONF.unlink)
        write_conf(section("awsflock", {"store": "local", "local_dir": str(OWN_STORE)}), OWN_CONF)

    def alices(self, program, *arguments, **environment):
        return self.run_to_end([program, *arguments], "alice", environment={"HOME": "/home/alice", **environment})

    def assertIsLedBy(self, environment):
        """ENVIRONMENT leads the program as such to alice's store, and not the one that is set-id to bob."""
        code, _, err = self.alices(PROGRAM, "acquire", "hers", **environment)
        self.assertEqual((code, list(SYSTEMS_STORE.iterdir())), (0, []), err)
        hers = sorted(OWN_STORE.rglob("*"))
        self.assertNotEqual(hers, [])
        code, _, err = self.alices(SET_ID, "acquire", "the-systems", **environment)
        self.assertEqual((code, sorted(OWN_STORE.rglob("*"))), (0, hers), err)
        self.assertNotEqual(list(SYSTEMS_STORE.iterdir()), [])

    def test_no_variable_leads_it_to_another_file(self):
        self.assertIsLedBy({"AWSFLOCK_CONFIG": str(OWN_CONF)})

    def test_a_file_in_its_callers_or_its_owners_home_is_not_read(self):
        for person in ("alice", "bob"):
            path = pathlib.Path("/home", person, ".config/awsflock.conf")
            write_conf(OWN_CONF.read_text(encoding="ascii"), path)
            self.addCleanup(path.unlink)
        self.assertIsLedBy({})

    def test_a_file_that_is_named_to_it_is_refused(self):
        code, out, err = self.alices(SET_ID, "acquire", "--config", str(OWN_CONF), "deploy")
        self.assertEqual((code, out), (1, ""))
        self.assertRegex(err, f"^awsflock: .*a set-id program reads {CONF} alone")
        self.assertEqual([*SYSTEMS_STORE.iterdir(), *OWN_STORE.iterdir()], [])

    def test_its_requests_go_through_no_proxy_of_its_callers(self):
        with socket.create_server(("127.0.0.1", 0)) as proxy:
            url = "http://127.0.0.1:%d" % proxy.getsockname()[1]
            proxy.settimeout(0)
            settings = DynamoDBSettings.settings("http://127.0.0.1:9", "table")
            os.chown(DynamoDBSettings.credentials, PEOPLE["bob"], PEOPLE["bob"])
            write_conf(section("awsflock", settings))
            result = self.alices(SET_ID, "status", "deploy", http_proxy=url, AWS_ENDPOINT_URL=url, AWS_MAX_ATTEMPTS="1",
                                 AWSFLOCK_TABLE="no/table")
            self.assertEqual(result[0], 1)
            self.assertIn("no answer from http://127.0.0.1:9", result[2])
            with self.assertRaises(BlockingIOError):
                proxy.accept()
