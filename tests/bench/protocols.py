"""What the benchmark of POP3 and that of IMAP have each for itself."""

import dataclasses


@dataclasses.dataclass
class Protocol:
    name: str
    courier: tuple  # its programs: what logs in, what serves
    environment: dict  # of these programs, whoever starts them
    tls: dict  # and where TLS is there from the first octet
    start_tls: dict  # and where courier's own login is to offer it
    limits: dict  # in postern's configuration


PROTOCOLS = {
    "pop3": Protocol(
        name="pop3",
        courier=("courierpop3login", "courierpop3d"),
        environment={"POP3_PROXY": "0", "POP3_TLS_REQUIRED": "0"},
        tls={"POP3_TLS": "1"},
        start_tls={"POP3_STARTTLS": "YES"},
        limits={},
    ),
    "imap": Protocol(
        name="imap",
        courier=("imaplogin", "imapd"),
        environment={  # as Debian's /etc/courier/imapd has it
            "IMAP_CAPABILITY": "IMAP4rev1 UIDPLUS CHILDREN NAMESPACE THREAD=ORDEREDSUBJECT THREAD=REFERENCES SORT QUOTA"
            " IDLE",
            "IMAP_KEYWORDS": "1",
            "IMAP_ACL": "1",
            "IMAP_PROXY": "0",
            "IMAP_IDLE_TIMEOUT": "60",
            "IMAP_MAILBOX_SANITY_CHECK": "1",
            "IMAP_DISABLETHREADSORT": "0",
            "IMAP_CHECK_ALL_FOLDERS": "0",
            "IMAP_OBSOLETE_CLIENT": "0",
            "IMAP_USELOCKS": "1",
            "IMAP_ENHANCEDIDLE": "0",
            "IMAP_TRASHFOLDERNAME": "Trash",
            "IMAP_EMPTYTRASH": "Trash:7",
            "IMAP_MOVE_EXPUNGE_TO_TRASH": "0",
            "IMAP_TLS_REQUIRED": "0",
        },
        tls={"IMAP_TLS": "1"},
        start_tls={"IMAP_STARTTLS": "YES"},
        limits={"leftover_seconds": 60},  # the gam_server of a user is to serve his next session, too
    ),
}
