"""Dovecot's imap as a backend, unpacked and not installed. doveconf hands it a configuration, which it does not look for itself."""

import os
import shutil
import subprocess

CONFIGURATION = """mail_location = maildir:~/Maildir
protocols = imap
ssl = no
base_dir = %s
log_path = /dev/stderr
"""


def unpacked():
    """Where it is; fetched if need be."""
    directory = os.environ.get("POSTERN_DOVECOT") or "/var/cache/postern/dovecot"
    subprocess.run(["tests/e2e/fetch-dovecot", directory], check=True)
    return directory


def service(installation):
    """Settings of a service before it. Mail users can reach the copy that is made once in a test process."""
    copy = installation.path("dovecot")
    if not os.path.exists(copy):
        shutil.copytree(unpacked(), copy, symlinks=True)
        with open(copy + "/dovecot.conf", "w", encoding="utf-8") as file:
            file.write(CONFIGURATION % (copy + "/run"))
    return {
        "backend": [copy + "/bin/doveconf", "-c", copy + "/dovecot.conf", "-m", "imap", "-e", copy + "/bin/imap"],
        "environment": {"LD_LIBRARY_PATH": copy + "/lib"},
    }
