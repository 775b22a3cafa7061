#include <gtest/gtest.h>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/strings/str_replace.h"
#include "config/config.h"
#include "config/test_text.h"

namespace postern::config {
namespace {

TEST(ServiceTest, NamesWhatAServiceLacks) {
  Follow({
      {"\n[service.s]\nlisten = []\n",
       ":2:1: [service.s] has no protocol\n:2:1: [service.s] has no certificate\n:2:1: [service.s] has no key\n"
       ":2:1: [service.s] has no checkpassword\n:2:1: [service.s] has no backend\n"
       ":2:1: [service.s] has no listen and no listen_tls"},
      {"[service.s]\nprotocol=1\nlisten=1\ncertificate=1\nkey=1\ncheckpassword=1\nbackend=1\n",
       ":2:10: protocol must be \"pop3\" or \"imap\", not 1\n"
       ":3:8: listen must be an array of strings, not 1\n"
       ":4:13: certificate must be a string or an array of strings, not 1\n"
       ":5:5: key must be a string or an array of strings, not 1\n"
       ":6:15: checkpassword must be an array of strings, not 1\n"
       ":7:9: backend must be an array of strings, not 1"},
      {absl::StrCat("[service]\nprotocol = 'pop3'\n", Minimal()),
       ":2:1: [service] holds sections such as [service.pop3], not a key such as \"protocol\""},
      {"[[service]]\n", ":1:1: service must be sections such as [service.pop3], not an array"},
  });
}

TEST(ServiceTest, ChecksServices) {
  const auto name = [](absl::string_view header) { return absl::StrReplaceAll(Minimal(), {{"[service.s]", header}}); };
  const std::string longest(32, 'x');
  Follow({
      {name("[service.\"a b\"]"), ":1:10: a service's name must be 1 to 32 of a-z, 0-9, _ and -, not \"a b\""},
      {name("[service.\"\"]"), ":1:10: a service's name must be 1 to 32 of a-z, 0-9, _ and -, not \"\""},
      {name("[service.POP3]"), ":1:10: a service's name must be 1 to 32 of a-z, 0-9, _ and -, not \"POP3\""},
      {name(absl::StrCat("[service.", longest, "]")), ""},
      {name(absl::StrCat("[service.", longest, "x]")),
       ":1:10: a service's name must be 1 to 32 of a-z, 0-9, _ and -, not \"xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx\""},
      {Minimal("plaintext = 'no'\n"), ":8:13: plaintext must be \"refuse\" or \"allow\", not \"no\""},
      {Minimal("login = 'vpopmail'\n"), ":8:9: login must be \"checkpassword\" or \"backend\", not \"vpopmail\""},
      {Minimal("no_new_privs = 1\n"), ":8:16: no_new_privs must be true or false, not 1"},
      {absl::StrReplaceAll(Minimal(), {{"['/b']", "[]"}}), ":7:9: backend must name a program, then its arguments"},
      {absl::StrReplaceAll(Minimal(), {{"/b", "b"}}), ":7:10: backend must begin with an absolute path, not \"b\""},
      {absl::StrReplaceAll(Minimal(), {{"'/c'", "'/c', 1, [], \"\\u0000\""}}),
       ":6:22: an element of checkpassword must be a string without NUL, not 1\n"
       ":6:25: an element of checkpassword must be a string without NUL, not an array\n"
       ":6:29: an element of checkpassword must be a string without NUL, not \"\\x00\""},
      {absl::StrReplaceAll(Minimal(), {{"'/c'", absl::StrCat("'/c'", absl::StrJoin(std::vector<int>(64), ",'",
                                                                                   [](std::string* out, int) {
                                                                                     absl::StrAppend(out, "x'");
                                                                                   })
                                                                         .insert(0, ",'"))}}),
       ":6:15: checkpassword must have at most 64 words"},
  });
}

TEST(ServiceTest, ChecksCertificates) {
  const auto pairs = [](absl::string_view certificate, absl::string_view key) {
    return absl::StrReplaceAll(Minimal(), {{"'c'", certificate}, {"'k'", key}});
  };
  const auto many = [](size_t count) {
    return absl::StrCat("[", absl::StrJoin(std::vector<std::string>(count, "'x'"), ","), "]");
  };
  Follow({
      {pairs("['c']", "'k'"), ""},
      {pairs("['c', 'd']", "['k', 'l']"), ""},
      {pairs(many(16), many(16)), ""},
      {pairs(many(17), many(17)),
       ":4:13: certificate must have 1 to 16 elements, not 17\n:5:5: key must have 1 to 16 elements, not 17"},
      {pairs("[]", "[]"),
       ":4:13: certificate must have 1 to 16 elements, not 0\n:5:5: key must have 1 to 16 elements, not 0"},
      {pairs("['c', 'd']", "'k'"), ":5:5: key must have as many elements as certificate, which has 2, not 1"},
      {pairs("'c'", "[ 'k', 'l' ]"), ":5:5: key must have as many elements as certificate, which has 1, not 2"},
      {pairs("['c', 1, '']", "['k', 'l\\u0000', \"\\u0000\"]"),
       ":4:19: an element of certificate must be a string, not empty and without NUL, not 1\n"
       ":4:22: an element of certificate must be a string, not empty and without NUL, not \"\"\n"
       ":5:22: an element of key must be a string, not empty and without NUL, not \"\\x00\""},
      {pairs("''", "{}"),
       ":4:13: certificate must be a string, not empty and without NUL, not \"\"\n"
       ":5:5: key must be a string or an array of strings, not a table"},
  });
}

// Minimal() without checkpassword and backend.
std::string Bare(absl::string_view more) {
  return absl::StrCat(absl::StrReplaceAll(Minimal(), {{"checkpassword=['/c']\n", ""}, {"backend=['/b']\n", ""}}),
                      "login = 'backend'\n", more);
}

TEST(ServiceTest, ChecksLoginByTheBackend) {
  Follow({
      {Bare("backend = ['/b']\n"), ""},
      {Bare(""), ":1:1: [service.s] has no backend"},
      {Bare("connect = '127.0.0.1:110'\n"), ""},
      {Bare("connect = '[::1]:110'\nproxy_protocol = 'v1'\n"), ""},
      {Bare("connect = '/run/pop3.sock'\nproxy_protocol = 'v2'\n"), ""},
      {Bare("connect = 'localhost:110'\n"),
       ":7:11: connect: \"localhost:110\" is not an address such as \"192.0.2.1:110\" or \"[2001:db8::1]:110\""},
      {Bare(absl::StrCat("connect = '/", std::string(107, 'x'), "'\n")),
       absl::StrCat(":7:11: connect: \"/", std::string(107, 'x'),
                    "\" is too long for the path of a socket (107 octets)")},
      {Bare("connect = '127.0.0.1:110'\nproxy_protocol = 2\n"),
       ":8:18: proxy_protocol must be \"v1\" or \"v2\", not 2"},
      {Bare("connect = '127.0.0.1:110'\nbackend = ['/b']\nuser = 'x'\ngroups = []\nno_new_privs = true\n"),
       ":8:1: backend has no use with connect, where nothing is started\n"
       ":9:1: user has no use with connect, where nothing is started\n"
       ":10:1: groups has no use with connect, where nothing is started\n"
       ":11:1: no_new_privs has no use with connect, where nothing is started"},
      {Bare("backend = ['/b']\ncheckpassword = ['/c']\n"),
       ":8:1: checkpassword has no use with login = \"backend\", which asks the backend"},
      {Bare("backend = ['/b']\nproxy_protocol = 'v1'\n"), ":8:1: proxy_protocol has no use without connect"},
      // What login was to be is not known: no error that hangs on it.
      {absl::StrReplaceAll(Bare("connect = '127.0.0.1:110'\n"), {{"'backend'", "'Backend'"}}),
       ":6:9: login must be \"checkpassword\" or \"backend\", not \"Backend\""},
      {absl::StrReplaceAll(Bare("connect = '127.0.0.1:110'\n"), {{"login = 'backend'\n", ""}}),
       ":6:1: connect needs login = \"backend\""},
      {Bare("connect = 'run/pop3.sock'\n"),
       ":7:11: connect: \"run/pop3.sock\" is neither an address with its port nor the absolute path of a socket"},
      {Minimal("connect = '127.0.0.1:110'\n"),
       ":7:1: backend has no use with connect, where nothing is started\n:8:1: connect needs login = \"backend\""},
  });
}

TEST(ServiceTest, DoesNotConnectToItself) {
  const auto service = [](absl::string_view listen, absl::string_view connect) {
    return absl::StrReplaceAll(Bare(absl::StrCat("connect = '", connect, "'\n")),
                               {{"['127.0.0.1:1']", absl::StrCat("['", listen, "']")}});
  };
  Follow({
      {service("127.0.0.1:1", "127.0.0.1:1"), ":7:11: connect: \"127.0.0.1:1\" is where postern listens, FILE:3:9"},
      {service("0.0.0.0:1", "127.0.0.2:1"), ":7:11: connect: \"127.0.0.2:1\" is where postern listens, FILE:3:9"},
      {service("[::]:1", "[::1]:1"), ":7:11: connect: \"[::1]:1\" is where postern listens, FILE:3:9"},
      {service("192.0.2.1:1", "192.0.2.1:1"), ":7:11: connect: \"192.0.2.1:1\" is where postern listens, FILE:3:9"},
      {service("0.0.0.0:1", "127.0.0.1:2"), ""},
      {service("0.0.0.0:1", "192.0.2.1:1"), ""},  // may be another machine
      {service("127.0.0.1:1", "127.0.0.2:1"), ""},
      {service("[::]:1", "127.0.0.1:1"), ""},
      {service("0.0.0.0:1", "/run/pop3.sock"), ""},
  });
}

TEST(ServiceTest, ChecksUserAndLimitsOfTheBackend) {
  Follow({
      {Minimal("user = 'root'\ngroups = ['courier', '8']\n"), ""},
      {Minimal("user = ''\n"), ":8:8: user must be a string, not empty and without NUL, not \"\""},
      {Minimal("user = 'a:b'\n"), ":8:8: user: \"a:b\" is no name"},
      {Minimal("groups = ['-x', 'a b']\n"), ":8:11: groups: \"-x\" is no name\n:8:17: groups: \"a b\" is no name"},
      {Minimal("backend_limits = { memory_mib = 256, open_files = 64, processes = 8, cpu_seconds = 9, file_mib = 1, "
               "nice = 19 }\n"),
       ""},
      {Minimal("backend_limits = { memory_mib = 1 }\n"),
       ":8:33: memory_mib must be a whole number from 8 to 1048576, not 1"},
      {Minimal("backend_limits = { nice = -1 }\n"), ":8:27: nice must be a whole number from 0 to 19, not -1"},
      {Minimal("backend_limits = 5\n"),
       ":8:18: backend_limits must be a table of numbers such as { memory_mib = 256 }, not 5"},
      {Minimal("backend_limits = { memory = 5 }\n"),
       ":8:20: unknown key \"memory\" in [service.s.backend_limits]; did you mean \"memory_mib\"?"},
      {Minimal("memory_mib = 5\n"),
       ":8:1: unknown key \"memory_mib\" in [service.s]; it belongs in [service.NAME.backend_limits]"},
  });
}

TEST(ServiceTest, ChecksAddresses) {
  const auto address = [](absl::string_view text) {
    return absl::StrReplaceAll(Minimal(), {{"'127.0.0.1:1'", absl::StrCat("'", text, "'")}});
  };
  const struct {
    absl::string_view text, problem;
  } kRows[] = {
      {"1.2.3.4:65535", ""},
      {"0.0.0.0:110", ""},
      {"[::]:110", ""},
      {"[2001:DB8::1]:110", ""},
      {"", "is not an address such as \"192.0.2.1:110\" or \"[2001:db8::1]:110\""},
      {"110", "is not an address such as \"192.0.2.1:110\" or \"[2001:db8::1]:110\""},
      {"localhost:110", "is not an address such as \"192.0.2.1:110\" or \"[2001:db8::1]:110\""},
      {"::1:110", "is not an address such as \"192.0.2.1:110\" or \"[2001:db8::1]:110\""},
      {"[::1]", "is not an address such as \"192.0.2.1:110\" or \"[2001:db8::1]:110\""},
      {"[]:110", "is not an address such as \"192.0.2.1:110\" or \"[2001:db8::1]:110\""},
      {"[127.0.0.1]:110", "is not an address such as \"192.0.2.1:110\" or \"[2001:db8::1]:110\""},
      {"[fe80::1%lo]:110", "is not an address such as \"192.0.2.1:110\" or \"[2001:db8::1]:110\""},
      {"127.1:110", "is not an address such as \"192.0.2.1:110\" or \"[2001:db8::1]:110\""},
      {"*:110", "names no address; for all of them give both \"0.0.0.0:PORT\" and \"[::]:PORT\""},
      {":110", "names no address; for all of them give both \"0.0.0.0:PORT\" and \"[::]:PORT\""},
      {"1.2.3.4:", "has no port from 1 to 65535"},
      {"1.2.3.4:0", "has no port from 1 to 65535"},
      {"1.2.3.4:65536", "has no port from 1 to 65535"},
      {"1.2.3.4:+110", "has no port from 1 to 65535"},
      {"1.2.3.4:0110", "has no port from 1 to 65535"},
      {"1.2.3.4:110 ", "has no port from 1 to 65535"},
      {"1.2.3.4:pop3", "has no port from 1 to 65535"},
      {"[::ffff:1.2.3.4]:110", "is an IPv4 address; write it as one"},
  };
  for (const auto& row : kRows) {
    const std::string expected =
        row.problem.empty() ? "" : absl::StrCat(kPath, ":3:9: listen: \"", row.text, "\" ", row.problem);
    EXPECT_EQ(Problems(address(row.text)), expected) << row.text;
  }
}

TEST(ServiceTest, RefusesOneAddressTwice) {
  const auto second = [](absl::string_view listen) {
    return absl::StrCat(Minimal(),
                        absl::StrReplaceAll(Minimal(), {{"service.s", "service.t"}, {"'127.0.0.1:1'", listen}}));
  };
  Follow({
      {Minimal("listen_tls=['127.0.0.1:1']\n"), ":8:13: address \"127.0.0.1:1\" is already used at FILE:3:9"},
      {second("'127.0.0.1:1'"), ":10:9: address \"127.0.0.1:1\" is already used at FILE:3:9"},
      {second("'[::1]:1', '[0:0::0:1]:1'"), ":10:20: address \"[0:0::0:1]:1\" is already used at FILE:10:9"},
      {second("'0.0.0.0:1'"), ""},  // whether both can be bound is for the system to say
      {second("'127.0.0.1:2'"), ""},
  });
}

TEST(ServiceTest, ChecksTheEnvironment) {
  const auto variable = [](absl::string_view text) { return Minimal(absl::StrCat("environment={", text, "}\n")); };
  Follow({
      {Minimal("environment=['A=b']\n"),
       ":8:13: environment must be a table of strings such as { NAME = \"value\" }, not an array"},
      {variable("A=1"), ":8:16: environment: A must be a string without NUL, not 1"},
      {variable("A.B='c'"), ":8:14: environment: A must be a string without NUL, not a table"},
      {variable("A=\"\\u0000\""), ":8:16: environment: A must be a string without NUL, not \"\\x00\""},
      {variable("'A=B'='c'"),
       ":8:14: environment: \"A=B\" is not a name made of letters, digits and _, a digit not first"},
      {variable("1='c'"), ":8:14: environment: \"1\" is not a name made of letters, digits and _, a digit not first"},
      {variable("''='c'"), ":8:14: environment: \"\" is not a name made of letters, digits and _, a digit not first"},
      {variable("PROTO='c'"), ":8:14: environment: PROTO is set by postern itself"},
      {variable("TCPREMOTEIP='c'"), ":8:14: environment: TCPREMOTEIP is set by postern itself"},
      {variable("SSL_CLIENT_S_DN='c'"), ":8:14: environment: SSL_CLIENT_S_DN is set by postern itself"},
      {variable("USER='c'"), ":8:14: environment: USER is set by postern itself"},
      {variable("HOME='c'"), ":8:14: environment: HOME is set by postern itself"},
      {variable("SHELL='c'"), ":8:14: environment: SHELL is set by postern itself"},
      {variable("AUTHENTICATED='c'"), ":8:14: environment: AUTHENTICATED is set by postern itself"},
      {variable("AUTHADDR='c'"), ":8:14: environment: AUTHADDR is set by postern itself"},
      {variable("PATH='c', SSL='d', _a1='e', USERS='f'"), ""},
  });
}

TEST(ServiceTest, ChecksCapabilities) {
  const auto capability = [](absl::string_view text) { return Minimal(absl::StrCat("capabilities=[", text, "]\n")); };
  const auto malformed = [](absl::string_view quoted) {
    return absl::StrCat(":8:15: capabilities: ", quoted,
                        " is not a tag of A-Z, 0-9 and -, then words of printable ASCII, each behind one space");
  };
  const std::string lower = malformed("\"top\""), spaces = malformed("\"TOP  a\""), last = malformed("\"TOP \""),
                    empty = malformed("\"\""), feed = malformed("\"TOP\\r\\nSASL PLAIN\""),
                    umlaut = malformed("\"X \\xc3\\xbc\"");
  Follow({
      {capability("'top'"), lower},
      {capability("'TOP  a'"), spaces},
      {capability("'TOP '"), last},
      {capability("''"), empty},
      {capability("\"TOP\\r\\nSASL PLAIN\""), feed},
      {capability("'X \xc3\xbc'"), umlaut},
      {capability("'TOP', 'TOP a'"), ":8:22: capabilities: TOP is given twice"},
      {capability("'STLS'"), ":8:15: capabilities: whether STLS is announced is decided by postern itself"},
      {capability("'USER'"), ":8:15: capabilities: whether USER is announced is decided by postern itself"},
      {capability("'SASL PLAIN'"), ":8:15: capabilities: whether SASL is announced is decided by postern itself"},
      {capability("'PIPELINING'"), ":8:15: capabilities: whether PIPELINING is announced is decided by postern itself"},
      {capability("'RESP-CODES'"), ":8:15: capabilities: whether RESP-CODES is announced is decided by postern itself"},
      {capability("'AUTH-RESP-CODE'"),
       ":8:15: capabilities: whether AUTH-RESP-CODE is announced is decided by postern itself"},
      {capability("'UTF8 USER'"),
       ":8:15: capabilities: UTF8 is a command for before the login, when no backend runs yet that could obey it"},
      {capability("'LANG'"),
       ":8:15: capabilities: LANG is a command for before the login, when no backend runs yet that could obey it"},
      {capability("'TOP','UIDL','LOGIN-DELAY 10','EXPIRE 30 USER','IMPLEMENTATION Courier Mail Server'"), ""},
      {capability("'A','B','C','D','E','F','G','H','I','J','K','L'"), ""},
      {capability("'A','B','C','D','E','F','G','H','I','J','K','L','M'"),
       ":8:14: capabilities must have at most 12 elements"},
      {Minimal("capabilities='TOP'\n"), ":8:14: capabilities must be an array of strings, not \"TOP\""},
  });
}

TEST(ServiceTest, ABackendThatLogsInBearsOutItsCapabilities) {
  const auto capability = [](absl::string_view text) {
    return Bare(absl::StrCat("capabilities=[", text, "]\nbackend=['/b']\n"));
  };
  Follow({
      {capability("'SASL PLAIN CRAM-MD5','PIPELINING','RESP-CODES','AUTH-RESP-CODE','TOP'"), ""},
      {capability("'STLS'"), ":7:15: capabilities: whether STLS is announced is decided by postern itself"},
      {capability("'USER'"), ":7:15: capabilities: whether USER is announced is decided by postern itself"},
      {capability("'UTF8'"),
       ":7:15: capabilities: UTF8 is a command for before the login, when no backend runs yet that could obey it"},
      // The order of the keys does not matter.
      {absl::StrReplaceAll(capability("'SASL PLAIN'"),
                           {{"login = 'backend'\n", ""}, {"['/b']\n", "['/b']\nlogin = 'backend'\n"}}),
       ""},
  });
}

TEST(ServiceTest, ReadsImap) {
  const auto imap = [](absl::string_view more) { return absl::StrReplaceAll(Minimal(more), {{"'pop3'", "'imap'"}}); };
  const auto config = Parse(kPath, imap("capabilities=['IMAP4rev1','THREAD=REFERENCES']\ngreeting='preauth'\n"));
  ASSERT_TRUE(config.ok()) << config.status();
  EXPECT_EQ(config->services[0].protocol, "imap");
  EXPECT_TRUE(config->services[0].preauth_greeting);
  EXPECT_EQ(config->services[0].capabilities, std::vector<std::string>({"IMAP4rev1", "THREAD=REFERENCES"}));
  EXPECT_FALSE(Parse(kPath, imap("greeting='tag'\n"))->services[0].preauth_greeting);
  EXPECT_EQ(Parse(kPath, imap(""))->services[0].capabilities, std::nullopt);
  EXPECT_EQ(Parse(kPath, imap("capabilities=[]\n"))->services[0].capabilities, std::vector<std::string>());
  Follow({
      {Minimal("greeting='tag'\n"), ":8:1: greeting is a matter of protocol = \"imap\""},
      {imap("greeting='ok'\n"), ":8:10: greeting must be \"tag\" or \"preauth\", not \"ok\""},
      {imap("capabilities=['IDLE']\n"),
       ":8:14: capabilities must name IMAP4rev1 or IMAP4rev2 (RFC 3501, section 6.1.1)"},
      {imap("capabilities=['IMAP4rev1', 'STARTTLS']\n"),
       ":8:28: capabilities: whether STARTTLS is announced is decided by postern itself"},
      {imap("capabilities=['IMAP4rev1', 'AUTH=PLAIN']\n"),
       ":8:28: capabilities: whether AUTH=PLAIN is announced is decided by postern itself"},
      {imap("capabilities=['IMAP4rev1', 'starttls']\n"),
       ":8:28: capabilities: whether starttls is announced is decided by postern itself"},
      {imap("capabilities=['IMAP4rev1', 'LANGUAGE']\n"),
       ":8:28: capabilities: LANGUAGE is a command for before the login, when no backend runs yet that could obey it"},
      {imap("capabilities=['IMAP4rev1', 'SORT DISPLAY']\n"),
       ":8:28: capabilities: \"SORT DISPLAY\" is not an atom (RFC 3501, section 9) of at most 64 octets"},
      {imap("capabilities=['IMAP4rev1', 'A]']\n"),
       ":8:28: capabilities: \"A]\" is not an atom (RFC 3501, section 9) of at most 64 octets"},
      {imap("capabilities=['IMAP4rev1', 'IDLE', 'IDLE']\n"), ":8:36: capabilities: IDLE is given twice"},
      {imap("environment={ IMAPLOGINTAG = 'a' }\n"), ":8:15: environment: IMAPLOGINTAG is set by postern itself"},
  });
}

}  // namespace
}  // namespace postern::config
