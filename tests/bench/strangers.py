"""courier and Dovecot, each in a root directory of its own, as Debian has them."""

import os
import shutil
import subprocess

import harness
from mailboxes import USERS, userdb
from peers import Peer


def make_root(peer, installation):
    """What fetch-peers has made to chroot(2) into, with what only a running system has."""
    root = peer.path("root")
    shutil.copytree(installation.peers + "/root", root, symlinks=True)
    subprocess.run(["/sbin/ldconfig", "-X", "-r", root], check=True, stderr=subprocess.DEVNULL)
    os.mknod(root + "/dev/null", 0o666 | 0o20000, os.makedev(1, 3))
    os.chmod(root + "/dev/null", 0o666)
    peer.name_owner(root + "/etc/passwd")
    return root


class Courier(Peer):
    """couriertcpd, couriertls and courier's login with authdaemond, in a root directory of their own."""

    name = "courier"

    def start(self, mail, installation):
        root = make_root(self, installation)
        mail.make_homes(root + "/mail", self.uid)
        with open(root + "/etc/courier/both.pem", "wb") as both:
            for part in (installation.key, installation.cert):
                with open(part, "rb") as file:
                    both.write(file.read())
        self._make_userdb(root, mail)
        self.spawn(["/usr/lib/courier/courier-authlib/authdaemond"], root=root, env={})
        self._listen("implicit", root, ["/usr/bin/couriertls", "-server", "-tcpd", "-user=courier"], self.protocol.tls)
        self._listen("starttls", root, [], self.protocol.start_tls)
        self.wait_for_ports()
        self.ports["login"] = self.ports["implicit"]

    def _listen(self, port, root, tls, environment):
        """As the scripts of Debian's courier-pop and courier-imap do it."""
        self.ports[port] = harness.installation().slot.port()
        places = {"imapd": "/usr/bin/"}
        login, server = (places.get(name, "/usr/lib/courier/courier/") + name for name in self.protocol.courier)
        self.spawn(
            ["/usr/sbin/couriertcpd", "-address=127.0.0.1", "-maxprocs=400", "-maxperip=400", "-nodnslookup"]
            + ["-noidentlookup", str(self.ports[port]), *tls, login, server, "Maildir"],
            root=root,
            env={
                **self.protocol.environment,
                "COURIERTLS": "/usr/bin/couriertls",
                "TLS_CERTFILE": "/etc/courier/both.pem",
                "TLS_VERIFYPEER": "NONE",
                "TLS_TRUSTCERTS": "/etc/courier/both.pem",
                "MAILDIRPATH": "Maildir",
                **environment,
            },
        )

    def _make_userdb(self, root, mail):
        program = "/usr/lib/courier/courier-authlib/makedatprog"
        for name, lines in userdb(mail, "/mail", self.uid).items():
            subprocess.run(
                [program, "-", "/etc/courier/new.dat", "/etc/courier/%s.dat" % name],
                input=lines + ".\n",
                text=True,
                check=True,
                preexec_fn=lambda: os.chroot(root),
            )
            os.chmod(root + "/etc/courier/%s.dat" % name, 0o600 if name == "userdbshadow" else 0o644)


DOVECOT = """
protocols = imap
listen = 127.0.0.1
log_path = /dev/stderr
ssl = required
ssl_cert = </etc/dovecot/cert.pem
ssl_key = </etc/dovecot/key.pem
ssl_min_protocol = TLSv1.2
ssl_options = no_ticket
mail_location = maildir:~/Maildir
mail_max_userip_connections = 2000
passdb {{
  driver = passwd-file
  args = scheme=CRYPT /etc/dovecot/passwd
}}
userdb {{
  driver = passwd-file
  args = /etc/dovecot/passwd
}}
default_client_limit = 4000
service imap-login {{
  service_count = 1
  process_limit = 1000
  inet_listener imap {{
    port = {starttls}
  }}
  inet_listener imaps {{
    port = {implicit}
    ssl = yes
  }}
}}
service imap {{
  service_count = 1
  process_limit = 1000
}}
"""


class Dovecot(Peer):
    """With a process for each login and one for each session, as comes closest to what the others do."""

    name = "dovecot"

    def start(self, mail, installation):
        self.backend = "imap"
        root = make_root(self, installation)
        mail.make_homes(root + "/mail", self.uid)
        for source, name in ((installation.cert, "cert.pem"), (installation.key, "key.pem")):
            shutil.copy(source, root + "/etc/dovecot/" + name)
        with open(root + "/etc/dovecot/passwd", "w", encoding="utf-8") as file:
            for user in USERS:
                file.write("%s:{CRYPT}%s:%d:%d::/mail/%s\n" % (user, mail.hash, self.uid, self.uid, user))
        for name in ("implicit", "starttls"):
            self.ports[name] = installation.slot.port()
        with open(root + "/etc/dovecot/dovecot.conf", "w", encoding="utf-8") as file:
            file.write(DOVECOT.format(**self.ports))
        self.spawn(["/usr/sbin/dovecot", "-F"], root=root, env={})
        self.wait_for_ports()
        self.ports["login"] = self.ports["implicit"]
