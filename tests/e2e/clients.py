"""What tests with real mail clients share: running a command that must end well, and each client on its own. A client that
speaks both protocols speaks the postern's."""

import hashlib
import os
import subprocess

import harness
from harness import MESSAGES, ROOT, USER


def run(command, text=b"", status=0, **environment):
    # timeout(1) ends also what the command has started, which would hold the pipes open.
    done = subprocess.run(
        ["timeout", "50", *command],
        input=text,
        capture_output=True,
        timeout=60,
        check=False,
        env={"PATH": os.environ["PATH"], **environment},
    )
    if status is not None and done.returncode != status:
        raise AssertionError("%s: status %d\n%r\n%r" % (command, done.returncode, done.stdout, done.stderr))
    return done


def private_directory(postern, name):
    os.mkdir(postern.path(name), 0o700)
    return postern.path(name)


def private_file(path, text):
    """Clients refuse a file with a password that others may read."""
    with open(path, "w", encoding="utf-8") as file:
        os.chmod(file.fileno(), 0o600)
        file.write(text)
    return path


def files_in(directory):
    found = []
    for name in sorted(os.listdir(directory)):
        with open(directory + "/" + name, "rb") as file:
            found.append(file.read())
    return found


def curl(postern, url, *options):
    command = ["curl", "-sS", "--cacert", postern.cert, "-u", "%s:%s" % (USER, postern.password)]
    return run([*command, *options, url]).stdout


def fetchmail(postern, port, how):
    """Everything it fetched, each message followed by =end=."""
    home = private_directory(postern, "fetchmail")
    # Its certificates are wanted in a directory by hash, or a file.
    rc = (
        'poll localhost protocol %s port %d username "%s" password "%s" %s sslcertck sslcertfile "%s" keep fetchall\n'
        'mda "cat >>%s/mbox; echo =end= >>%s/mbox"\n'
    ) % (postern.protocol.upper(), port, USER, postern.password, how, postern.cert, home, home)
    private_file(home + "/rc", rc)
    run(["fetchmail", "-f", home + "/rc", "--pidfile", home + "/pid", "--nosyslog"], HOME=home, FETCHMAILHOME=home)
    with open(home + "/mbox", "rb") as file:
        return file.read()


def mpop(postern, port, starttls, *options):
    """The messages it delivered into a Maildir, and what it said. With --serverinfo it delivers none."""
    home = private_directory(postern, "mpop")
    for name in ("", "/new", "/cur", "/tmp"):
        os.mkdir(home + "/Maildir" + name)
    rc = (
        "account default\nhost localhost\nport %d\nuser %s\npassword %s\ntls on\ntls_starttls %s\ntls_trust_file %s\n"
        "auth user\nkeep on\nreceived_header off\nuidls_file %s/uidls\ndelivery maildir %s/Maildir\n"
    ) % (port, USER, postern.password, starttls, postern.cert, home, home)
    done = run(["mpop", "-C", private_file(home + "/rc", rc), *options], HOME=home)
    return files_in(home + "/Maildir/new"), done.stdout


def getmail(postern):
    """The messages it delivered into a Maildir. It speaks TLS from the first octet only."""
    home = private_directory(postern, "getmail")
    os.mkdir(home + "/Maildir", 0o700)
    for name in ("new", "cur", "tmp"):
        os.mkdir(home + "/Maildir/" + name, 0o700)
    owner = ""
    if ROOT:  # it delivers nothing as root; what it becomes must reach and own the Maildir
        owner = "user = nobody\n"
        os.chmod(home, 0o711)
        run(["chown", "-R", "nobody", home + "/Maildir"])
    rc = (
        "[retriever]\ntype = Simple%sSSLRetriever\nserver = localhost\nport = %d\nusername = %s\npassword = %s\n"
        "ca_certs = %s\n[destination]\ntype = Maildir\npath = %s/Maildir/\n%s"
        "[options]\nread_all = true\ndelete = false\ndelivered_to = false\nreceived = false\n"
    ) % (postern.protocol.upper(), postern.tls_port, USER, postern.password, postern.cert, home, owner)
    private_file(home + "/rc", rc)
    run(["getmail", "--getmaildir", home, "--rcfile", "rc"], HOME=home)
    return files_in(home + "/Maildir/new")


def mutt(postern, port, scheme, program="mutt"):
    """Opens the mailbox on a terminal, copies every message of it into a file, leaves. The file. neomutt is much the same."""
    home = private_directory(postern, program)
    if postern.protocol == "pop3":
        own = 'set pop_pass="%s" pop_authenticators=user pop_delete=no pop_reconnect=no\n'
    else:
        own = 'set imap_pass="%s"\n'
    rc = (
        'set certificate_file="%s" ssl_force_tls=yes ssl_starttls=yes folder="%s"\n'
        "set quit=yes confirmappend=no confirmcreate=no\n"
        'set mbox_type=mbox wait_key=no sleep_time=0 header_cache="" message_cachedir="" beep=no read_inc=0 net_inc=0\n'
        "push '<first-entry>%s<quit>'\n"
    )
    copy = "<copy-message>%s/mbox<enter>" % home
    rc = own % postern.password + rc % (postern.cert, home, "<next-entry>".join([copy] * len(MESSAGES)))
    private_file(home + "/rc", rc)
    # script(1) makes the terminal; the address holds no character that a shell would take for itself.
    command = "%s -n -F %s/rc -f %s://%s@localhost:%d/" % (program, home, scheme, USER, port)
    shown = run(["script", "-qec", command, "/dev/null"], HOME=home, TERM="xterm", LANG="C.UTF-8").stdout
    if not os.path.exists(home + "/mbox"):
        raise AssertionError("%s copied nothing; it showed %r" % (program, shown))
    with open(home + "/mbox", "rb") as file:
        return file.read()


def mbsync(postern, port, how):
    """Brings every folder to this side, or what has changed in it since the last time. Where they are."""
    home = postern.path("mbsync")
    if not os.path.exists(home):
        os.makedirs(private_directory(postern, "mbsync") + "/mail")
    rc = (
        "IMAPStore there\nHost localhost\nPort %d\nUser %s\nPass %s\nSSLType %s\nCertificateFile %s\nAuthMechs LOGIN\n\n"
        "MaildirStore here\nPath %s/mail/\nInbox %s/mail/INBOX\nSubFolders Verbatim\n\n"
        "Channel all\nFar :there:\nNear :here:\nPatterns *\nCreate Near\nSyncState *\n"
    ) % (port, USER, postern.password, how, postern.cert, home, home)
    run(["mbsync", "-c", private_file(home + "/rc", rc), "all"], HOME=home)
    return home + "/mail"


def offlineimap(postern, port, how):
    """As mbsync()."""
    home = postern.path("offlineimap")
    if not os.path.exists(home):
        private_directory(postern, "offlineimap")
    rc = (
        "[general]\naccounts = all\nui = basic\nmetadata = %s/meta\nfsync = no\n"
        "[Account all]\nlocalrepository = here\nremoterepository = there\n"
        "[Repository here]\ntype = Maildir\nlocalfolders = %s/mail\n"
        "[Repository there]\ntype = IMAP\nremotehost = localhost\nremoteport = %d\nremoteuser = %s\nremotepass = %s\n"
        "%s\nsslcacertfile = %s\nauth_mechanisms = LOGIN\n"
    ) % (home, home, port, USER, postern.password, how, postern.cert)
    run(["offlineimap", "-o", "-c", private_file(home + "/rc", rc)], HOME=home)
    return home + "/mail"


def digests(directory):
    """What is below it: {path: digest}; only messages, not the files in which a program keeps state of its own."""
    found = {}
    for parent, _, files in os.walk(directory):
        for name in files:
            if os.path.basename(parent) in ("new", "cur"):
                with open(os.path.join(parent, name), "rb") as file:
                    found[os.path.join(parent, name)] = hashlib.sha256(file.read()).hexdigest()
    return found


class ClientsTest(harness.PosternTest):
    """Base of tests with clients before Debian's courier."""

    def setUp(self):
        super().setUp()
        self.postern = self.start()

    def check_ended(self, logins=1):
        """What the log must say of sessions that went well."""
        for number in range(1, logins + 1):
            login = self.postern.log.wait("login", user=USER, count=number)
            session = login.session
            self.postern.log.wait("backend_end", session=session, status=0)
            self.postern.log.wait("tls_end", session=session)  # some clients close first once QUIT was answered
            self.postern.log.wait("close", session=session)

    def check_messages(self, got):
        """All of them and nothing else, in any order, with whatever headers the client puts before them."""
        self.assertEqual(len(got), len(MESSAGES))
        for message in MESSAGES:  # not one comparison of lists: to show how they differ would take Python minutes
            self.assertEqual(sum(text.endswith(message) for text in got), 1, [text[:200] for text in got])

    def check_in_one_file(self, got):
        """Each once, in a file with separators and headers of the client's own."""
        for message in MESSAGES:
            head, _, body = message.partition(b"\n\n")
            self.assertEqual(got.count(head.splitlines()[1] + b"\n"), 1, got[:400])
            self.assertEqual(got.count(b"\n\n" + body), 1, got[:400])
