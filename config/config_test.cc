#include "config/config.h"

#include <arpa/inet.h>
#include <gtest/gtest.h>
#include <netinet/in.h>

#include <cstring>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/strings/str_replace.h"
#include "config/test_text.h"

namespace postern::config {
namespace {

constexpr absl::string_view kFull = R"(# everything that there is
[log]
[limits]
sessions = 1000
sessions_per_address = 20
login_attempts = 5
login_seconds = 50
handshake_seconds = 9
idle_minutes = 20
drain_seconds = 0
[roles]
uid_base = 70300
directory = "libexec"
policies = "/usr/share/postern/policies"
[service.pop3]
protocol = "pop3"
listen = ["127.0.0.1:2110", "[::1]:2110"]
listen_tls = ["0.0.0.0:2995"]
certificate = "cert.pem"
key = "/keys/key.pem"
plaintext = "allow"
login = "checkpassword"
checkpassword = ["/bin/checkpassword-file", "/etc/passwd.mail"]
backend = ["/usr/bin/courierpop3d", "Maildir", ""]
no_new_privs = false
environment = { LD_LIBRARY_PATH = "/x", PATH = "/bin", EMPTY = "" }
capabilities = ["TOP", "UIDL", "LOGIN-DELAY 900"]
[service.a-second_1]
protocol = "pop3"
listen_tls = ["[::]:995"]
certificate = "c"
key = "k"
checkpassword = ["/c"]
backend = ["/b"]
)";

TEST(ParseTest, ReadsEveryKey) {
  const absl::StatusOr<Config> config = Parse(kPath, kFull);
  ASSERT_TRUE(config.ok()) << config.status();
  EXPECT_EQ(config->path, kPath);
  EXPECT_EQ(config->limits.sessions, 1000);
  EXPECT_EQ(config->limits.sessions_per_address, 20);
  EXPECT_EQ(config->limits.login_attempts, 5);
  EXPECT_EQ(config->limits.login, absl::Seconds(50));
  EXPECT_EQ(config->limits.handshake, absl::Seconds(9));
  EXPECT_EQ(config->limits.idle, absl::Minutes(20));
  EXPECT_EQ(config->limits.drain, absl::ZeroDuration());
  EXPECT_EQ(config->roles.uid_base, 70300u);
  EXPECT_EQ(config->roles.uid_base_place.line, 12);
  EXPECT_EQ(config->roles.directory, "/etc/libexec");
  EXPECT_EQ(config->roles.policies, "/usr/share/postern/policies");
  ASSERT_EQ(config->services.size(), 2u);
  const Service& service = config->services[0];
  EXPECT_EQ(service.name, "pop3");
  EXPECT_EQ(service.protocol, "pop3");
  EXPECT_EQ(service.place.line, 15);
  ASSERT_EQ(service.certificates.size(), 1u);
  EXPECT_EQ(service.certificates[0].certificate, "/etc/cert.pem");
  EXPECT_EQ(service.certificates[0].certificate_place.line, 19);
  EXPECT_EQ(service.certificates[0].certificate_place.column, 15);
  EXPECT_EQ(service.certificates[0].key, "/keys/key.pem");
  EXPECT_EQ(service.certificates[0].key_place.line, 20);
  EXPECT_EQ(service.plaintext, Plaintext::kAllow);
  EXPECT_EQ(absl::StrJoin(service.checkpassword, "|"), "/bin/checkpassword-file|/etc/passwd.mail");
  EXPECT_EQ(service.checkpassword_place.line, 23);
  EXPECT_EQ(absl::StrJoin(service.backend, "|"), "/usr/bin/courierpop3d|Maildir|");
  EXPECT_EQ(service.backend_place.line, 24);
  EXPECT_FALSE(service.no_new_privs);
  EXPECT_EQ(absl::StrJoin(service.environment, "|", absl::PairFormatter("=")), "LD_LIBRARY_PATH=/x|PATH=/bin|EMPTY=");
  EXPECT_EQ(absl::StrJoin(service.capabilities.value(), "|"), "TOP|UIDL|LOGIN-DELAY 900");
}

TEST(ParseTest, ReadsSeveralCertificates) {
  const absl::StatusOr<Config> config =
      Parse(kPath, absl::StrReplaceAll(Minimal(), {{"'c'", "['c',\n'/d/e']"}, {"'k'", "['/k', 'l']"}}));
  ASSERT_TRUE(config.ok()) << config.status();
  const std::vector<CertificatePair>& pairs = config->services[0].certificates;
  ASSERT_EQ(pairs.size(), 2u);
  EXPECT_EQ(pairs[0].certificate, "/etc/c");
  EXPECT_EQ(pairs[0].key, "/k");
  EXPECT_EQ(pairs[1].certificate, "/d/e");
  EXPECT_EQ(pairs[1].key, "/etc/l");
  EXPECT_EQ(std::pair(pairs[1].certificate_place.line, pairs[1].certificate_place.column), std::pair(5, 1));
  EXPECT_EQ(std::pair(pairs[1].key_place.line, pairs[1].key_place.column), std::pair(6, 12));
}

TEST(ParseTest, ReadsAddresses) {
  const absl::StatusOr<Config> config = Parse(kPath, kFull);
  ASSERT_TRUE(config.ok()) << config.status();
  const std::vector<Listener>& listeners = config->services[0].listeners;
  ASSERT_EQ(listeners.size(), 3u);
  sockaddr_in v4 = {};
  ASSERT_EQ(listeners[0].octets, sizeof v4);
  memcpy(&v4, &listeners[0].address, sizeof v4);
  EXPECT_EQ(v4.sin_family, AF_INET);
  EXPECT_EQ(ntohl(v4.sin_addr.s_addr), INADDR_LOOPBACK);
  EXPECT_EQ(ntohs(v4.sin_port), 2110);
  EXPECT_FALSE(listeners[0].implicit_tls);
  sockaddr_in6 v6 = {};
  ASSERT_EQ(listeners[1].octets, sizeof v6);
  memcpy(&v6, &listeners[1].address, sizeof v6);
  EXPECT_EQ(v6.sin6_family, AF_INET6);
  EXPECT_TRUE(IN6_IS_ADDR_LOOPBACK(&v6.sin6_addr));
  EXPECT_EQ(ntohs(v6.sin6_port), 2110);
  EXPECT_EQ(listeners[1].text, "[::1]:2110");
  EXPECT_EQ(listeners[1].place.line, 17);
  EXPECT_EQ(listeners[1].place.column, 29);
  EXPECT_TRUE(listeners[2].implicit_tls);
}

TEST(ParseTest, HasDefaults) {
  const absl::StatusOr<Config> config = Parse(kPath, Minimal());
  ASSERT_TRUE(config.ok()) << config.status();
  EXPECT_EQ(config->limits.sessions, 5000);
  EXPECT_EQ(config->limits.sessions_per_address, 500);
  EXPECT_EQ(config->limits.login_attempts, 3);
  EXPECT_EQ(config->limits.login, absl::Seconds(60));
  EXPECT_EQ(config->limits.handshake, absl::Seconds(10));
  EXPECT_EQ(config->limits.idle, absl::Minutes(35));
  EXPECT_EQ(config->limits.keepalive, absl::Seconds(300));
  EXPECT_EQ(config->limits.drain, absl::Seconds(30));
  EXPECT_EQ(config->roles.uid_base, std::nullopt);
  EXPECT_EQ(config->roles.directory, "");
  EXPECT_EQ(config->roles.policies, "");
  EXPECT_EQ(config->roles.policies_place.line, 0);
  EXPECT_EQ(config->services[0].plaintext, Plaintext::kRefuse);
  EXPECT_TRUE(config->services[0].no_new_privs);
  EXPECT_EQ(Parse(kPath, absl::StrCat("limits.sessions=7\n", Minimal()))->limits.sessions_per_address, 7);
  EXPECT_EQ(Parse(kPath, absl::StrCat("limits.keepalive_seconds=90\n", Minimal()))->limits.keepalive,
            absl::Seconds(90));
}

TEST(ParseTest, KeepsTheOrderOfTheFile) {
  const std::string text =
      absl::StrCat(absl::StrReplaceAll(Minimal(), {{"service.s", "service.z"}}),
                   absl::StrReplaceAll(Minimal(), {{"service.s", "service.a"}, {"0.1:1", "0.1:2"}}));
  const absl::StatusOr<Config> config = Parse(kPath, text);
  ASSERT_TRUE(config.ok()) << config.status();
  EXPECT_EQ(config->services[0].name + config->services[1].name, "za");
}

constexpr absl::string_view kNoService = ": there is no service, that is, no section such as [service.pop3]";

TEST(ParseTest, SaysWhereItIsNotToml) {
  Follow({
      {"", kNoService},
      {"service = {}\n", kNoService},
      {"a = 1\na = 2\n", ":2:5: not TOML: in key-value pair: cannot redefine existing integer 'a'"},
      {"[limits\n", ":1:8: not TOML: in table header: expected ']', saw '\\n'"},
      {"a = tru\n", ":1:8: not TOML: in boolean: expected 'true', saw 'tru\\n'"},
      {"a = \"\xff\"\n", ":1:5: not TOML: Encountered invalid utf-8 sequence"},
      // Undefined behaviour of toml++ 3.3 unless repaired, see document.cc.
      {"a = 1 \xc3\xa9\n", ":1:7: not TOML: in key-value pair: expected a comment or whitespace, saw '\\xc3\\xa9'"},
      {"\xc3\xa9 = 1\n",
       ":1:1: not TOML: in root table: expected keys, tables, whitespace or comments, saw '\\xc3\\xa9'"},
      {absl::StrCat("[log]\n# \xc3\xa9\n", Minimal("environment={A=\"\"\"\\\n\xc2\xa7\"\"\"}\n")), ""},
      {"a = \"\x1b[2J\"\n",
       ":1:6: not TOML: in string: unescaped control characters other than TAB (U+0009) are explicitly prohibited"},
      {std::string("a = 1\0", 6), ":1:6: not TOML: in decimal integer: expected digit, saw '\\u0000'"},
  });
}

TEST(ParseTest, ChecksLimits) {
  const auto limit = [](absl::string_view line) { return absl::StrCat("[limits]\n", line, "\n", Minimal()); };
  Follow({
      {limit("sessions = \"many\""), ":2:12: sessions must be a whole number from 1 to 100000, not \"many\""},
      {limit("sessions = 0"), ":2:12: sessions must be a whole number from 1 to 100000, not 0"},
      {limit("sessions = 100001"), ":2:12: sessions must be a whole number from 1 to 100000, not 100001"},
      {limit("sessions = -9223372036854775808"),
       ":2:12: sessions must be a whole number from 1 to 100000, not -9223372036854775808"},
      {limit("sessions = 2.5"), ":2:12: sessions must be a whole number from 1 to 100000, not the fraction 2.5"},
      {limit("sessions = true"), ":2:12: sessions must be a whole number from 1 to 100000, not true"},
      {limit("sessions = [1]"), ":2:12: sessions must be a whole number from 1 to 100000, not an array"},
      {limit("sessions = {}"), ":2:12: sessions must be a whole number from 1 to 100000, not a table"},
      {limit("sessions = 2026-01-02"), ":2:12: sessions must be a whole number from 1 to 100000, not a date"},
      {limit("sessions = 10:00:00"), ":2:12: sessions must be a whole number from 1 to 100000, not a time"},
      {limit("sessions = 100000\nsessions_per_address = 100000"), ""},
      {limit("sessions = 10\nsessions_per_address = 11"),
       ":3:24: sessions_per_address must not be more than sessions, which is 10, not 11"},
      {limit("sessions = ''\nsessions_per_address = 6000"),
       ":2:12: sessions must be a whole number from 1 to 100000, not \"\""},
      {limit("login_attempts = 0"), ":2:18: login_attempts must be a whole number from 1 to 100, not 0"},
      {limit("login_seconds = 3601"), ":2:17: login_seconds must be a whole number from 1 to 3600, not 3601"},
      {limit("handshake_seconds = 0"), ":2:21: handshake_seconds must be a whole number from 1 to 600, not 0"},
      {limit("idle_minutes = 9"), ":2:16: idle_minutes must be a whole number from 10 to 10080, not 9"},
      {Minimal("[limits]\nidle_minutes = 10\n"), ""},
      {absl::StrReplaceAll(limit("idle_minutes = 29"), {{"'pop3'", "'imap'"}}),
       ":2:16: idle_minutes must be at least 30 where IMAP is served (RFC 3501, section 5.4), not 29"},
      {absl::StrReplaceAll(limit("idle_minutes = 30"), {{"'pop3'", "'imap'"}}), ""},
      {limit("keepalive_seconds = 9"), ":2:21: keepalive_seconds must be a whole number from 10 to 7200, not 9"},
      {limit("drain_seconds = -1"), ":2:17: drain_seconds must be a whole number from 0 to 3600, not -1"},
      {absl::StrCat("limits = 5\n", Minimal()), ":1:10: limits must be a section [limits], not 5"},
      {absl::StrCat("[[limits]]\n", Minimal()), ":1:1: limits must be a section [limits], not an array"},
  });
}

TEST(ParseTest, ChecksRoles) {
  const auto role = [](absl::string_view line) { return absl::StrCat("[roles]\n", line, "\n", Minimal()); };
  Follow({
      {role("uid_base = 0"), ":2:12: uid_base must be a whole number from 1 to 4294967290, not 0"},
      {role("uid_base = 4294967291"), ":2:12: uid_base must be a whole number from 1 to 4294967290, not 4294967291"},
      {role("uid_base = 4294967290"), ""},
      {role("uid_base = 65529"), ""},
      {role("uid_base = 65536"), ""},
      {role("uid_base = 65530"),
       ":2:12: uid_base: the roles would be the uids 65530 to 65534, and 65534 is nobody's own"},
      {role("uid_base = 65535"),
       ":2:12: uid_base: the roles would be the uids 65535 to 65539, and 65535 is nobody's own"},
      {role("directory = ''"), ":2:13: directory must be a string, not empty and without NUL, not \"\""},
      {role("policies = \"a\\u0000b\""),
       ":2:12: policies must be a string, not empty and without NUL, not \"a\\x00b\""},
      {role("policies = 7"), ":2:12: policies must be a string, not empty and without NUL, not 7"},
  });
}

TEST(ParseTest, NamesUnknownKeys) {
  Follow({
      {absl::StrCat("[limits]\nsesions = 5\n", Minimal()),
       ":2:1: unknown key \"sesions\" in [limits]; did you mean \"sessions\"?"},
      {absl::StrCat("[limits]\nfrobnicate = 5\n", Minimal()), ":2:1: unknown key \"frobnicate\" in [limits]"},
      {absl::StrCat("[limits]\nuid_base = 5\n", Minimal()),
       ":2:1: unknown key \"uid_base\" in [limits]; it belongs in [roles]"},
      {absl::StrCat("sessions = 5\n", Minimal()), ":1:1: unknown key \"sessions\"; it belongs in [limits]"},
      {absl::StrCat("sesions = 5\n", Minimal()),
       ":1:1: unknown key \"sesions\"; did you mean \"sessions\" in [limits]?"},
      {absl::StrCat("[limit]\nx = 5\n", Minimal()), ":1:2: unknown section \"limit\"; did you mean \"limits\"?"},
      {absl::StrCat("[services.pop3]\n", Minimal()), ":1:2: unknown section \"services\"; did you mean \"service\"?"},
      {absl::StrCat("[log]\nlevel = 1\n", Minimal()), ":2:1: unknown key \"level\" in [log]"},
      {Minimal("cert = 'x'\n"), ":8:1: unknown key \"cert\" in [service.s]; did you mean \"certificate\"?"},
      {Minimal("listen-tls = []\n"), ":8:1: unknown key \"listen-tls\" in [service.s]; did you mean \"listen_tls\"?"},
      {Minimal("login_seconds = 5\n"), ":8:1: unknown key \"login_seconds\" in [service.s]; it belongs in [limits]"},
      {Minimal("[service.s.enviroment]\nA = 'b'\n"),
       ":8:12: unknown key \"enviroment\" in [service.s]; did you mean \"environment\"?"},
      {Minimal("\"\\u001b[2J\" = 1\n"), ":8:1: unknown key \"\\x1b[2J\" in [service.s]"},
  });
}

// A key that has its place may not be unknown there: the hints and the readers would have parted.
TEST(ParseTest, HintsNameKeysThatAreKnown) {
  const absl::string_view kKeys[] = {
      "sessions",
      "sessions_per_address",
      "login_attempts",
      "login_seconds",
      "handshake_seconds",
      "idle_minutes",
      "keepalive_seconds",
      "uid_base",
      "drain_seconds",
      "directory",
      "policies",
      "protocol",
      "listen",
      "key",
      "listen_tls",
      "certificate",
      "plaintext",
      "login",
      "checkpassword",
      "backend",
      "no_new_privs",
      "environment",
      "capabilities",
  };
  for (absl::string_view key : kKeys) {
    const std::string problems = Problems(absl::StrCat(key, " = 1\n"));
    const size_t at = problems.find("; it belongs in [");
    ASSERT_NE(at, std::string::npos) << problems;
    std::string section = problems.substr(at + 17);
    section = absl::StrReplaceAll(section.substr(0, section.find(']')), {{"NAME", "pop3"}});
    const std::string again = Problems(absl::StrCat("[", section, "]\n", key, " = 1\n"));
    EXPECT_EQ(again.find("unknown"), std::string::npos) << again;
  }
}

TEST(ParseTest, WhatIsLeftBehindIsSharedWithImapOnly) {
  const std::string pop3 = Minimal(), imap = absl::StrReplaceAll(pop3, {{"'pop3'", "'imap'"}});
  EXPECT_EQ(Parse(kPath, pop3)->limits.leftover, absl::ZeroDuration());
  EXPECT_EQ(Parse(kPath, imap)->limits.leftover, absl::Seconds(60));
  for (const std::string& text : {imap, pop3})
    EXPECT_EQ(Parse(kPath, absl::StrCat(text, "[limits]\nleftover_seconds = 5\n"))->limits.leftover, absl::Seconds(5));
}

TEST(ParseTest, ReportsAllErrorsInTheOrderOfTheFile) {
  Follow({{"[service.s]\nprotocol = 'smtp'\nlisten = ['x']\n[roles]\nuidbase = 1\n[limits]\nsessions = 0\n",
           ":1:1: [service.s] has no certificate\n:1:1: [service.s] has no key\n"
           ":1:1: [service.s] has no checkpassword\n:1:1: [service.s] has no backend\n"
           ":2:12: protocol must be \"pop3\" or \"imap\", not \"smtp\"\n"
           ":3:11: listen: \"x\" is not an address such as \"192.0.2.1:110\" or \"[2001:db8::1]:110\"\n"
           ":5:1: unknown key \"uidbase\" in [roles]; did you mean \"uid_base\"?\n"
           ":7:12: sessions must be a whole number from 1 to 100000, not 0"}});
}

// The parser recurses; the worst that its limits let through must fit the stack, under the sanitizers as well.
TEST(ParseTest, SurvivesDepth) {
  const auto keys = [](int dots) { return "a" + absl::StrJoin(std::vector<absl::string_view>(dots, ".a"), ""); };
  const std::string no_service_and(absl::StrCat(kNoService, "\n:1:1: unknown section \"a\""));
  EXPECT_EQ(Problems(keys(256) + " = 1\n"), WithPath(no_service_and));
  EXPECT_EQ(Problems(absl::StrCat("# \n", keys(257), " = 1\n")), WithPath(":2:1: more than 256 dots in one line"));
  std::string worst = absl::StrCat("[", keys(256), "]\n");
  for (int i = 0; i < 4; ++i) absl::StrAppend(&worst, keys(256), " = [\n{");
  absl::StrAppend(&worst, "}]}]}]}]\n");
  EXPECT_EQ(Problems(worst), WithPath(absl::StrReplaceAll(no_service_and, {{":1:1", ":1:2"}}))) << worst;
  EXPECT_EQ(Problems(absl::StrCat("a = ", std::string(9, '['), std::string(9, ']'), "\n")),
            WithPath(":1:13: not TOML: in value: exceeded maximum nested value depth of 8 (TOML_MAX_NESTED_VALUES)"));
  EXPECT_EQ(Problems(std::string(kFileOctetsMax + 1, '\n')), "/etc/p.toml: more than 65536 octets");
}

}  // namespace
}  // namespace postern::config
