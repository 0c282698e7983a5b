# SPDX-License-Identifier: GPL-2.0-only
"""Which kernel is chosen, and what of a configuration got lost."""

import tempfile
import unittest
from pathlib import Path
from unittest import mock

from . import debian, provision


class Place:
    """Stands in for an apt."""
    def __init__(self, *names):
        self.all = set(names)

    def names(self, prefix):
        return self.all

    def has(self, package):
        return package in self.all


class Chosen(unittest.TestCase):
    def test_image_of_one_package(self):
        place = Place("linux-headers-6.1.0-9-amd64", "linux-image-6.1.0-9-amd64",
                      "linux-headers-6.1.0-56-amd64", "linux-image-6.1.0-56-amd64",
                      "linux-headers-6.1.0-60-amd64", "linux-headers-6.1.0-56-rt-amd64")
        found = provision._offered(r"6\.1\.0-\d+-amd64", place)
        self.assertEqual(max(found, key=provision._sort_key), "6.1.0-56-amd64")
        self.assertEqual(found["6.1.0-56-amd64"], ["linux-image-6.1.0-56-amd64"])
        self.assertNotIn("6.1.0-60-amd64", found)       # headers without an image

    def test_image_without_modules_in_it(self):
        place = Place("linux-headers-7.3.4+deb13-amd64", "linux-image-7.3.4+deb13-amd64",
                      "linux-binary-unsigned-7.3.4+deb13-amd64",
                      "linux-modules-7.3.4+deb13-amd64", "linux-base-7.3.4+deb13-amd64",
                      "linux-headers-7.3.4+deb13-cloud-amd64")
        found = provision._offered(r"7\.\d+(\.\d+)?\+deb13-amd64", place)
        self.assertEqual(found, {"7.3.4+deb13-amd64": [
            "linux-binary-unsigned-7.3.4+deb13-amd64", "linux-modules-7.3.4+deb13-amd64",
            "linux-base-7.3.4+deb13-amd64"]})


class Mirror(unittest.TestCase):
    def test_not_the_security_archive_nor_a_foreign_one(self):
        lines = ("Others|Others|main|http://others/debian/\n"
                 "Debian|Debian-Security|main|http://debian/security/\n"
                 "Debian|Debian|contrib|http://debian/debian/\n"
                 "Debian|Debian|main|http://debian/debian/\n")
        with mock.patch.object(debian, "output", lambda *_, **__: lines):
            self.assertEqual(debian.mirror(), "http://debian/debian/")


class Configuration(unittest.TestCase):
    def test_dropped_options_are_named(self):
        with tempfile.TemporaryDirectory() as name:
            wanted, config = Path(name, "wanted"), Path(name, ".config")
            wanted.write_text("# words\nCONFIG_A=y\nCONFIG_B=m\nCONFIG_C=17\n")
            config.write_text("CONFIG_A=y\n# CONFIG_B is not set\nCONFIG_C=18\nCONFIG_D=y\n")
            self.assertEqual(provision.dropped(config, wanted), ["CONFIG_B=m", "CONFIG_C=17"])


if __name__ == "__main__":
    unittest.main()
