#include "protocolbroker/imap/machine.h"

#include <gtest/gtest.h>

#include <vector>

#include "absl/strings/escaping.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/strip.h"

namespace postern::protocolbroker::imap {
namespace {

const Settings kStartTls = {.capabilities = {"IMAP4rev1", "IDLE"}};
const Settings kImplicit = {.implicit_tls = true, .capabilities = {"IMAP4rev1", "IDLE"}};
const Settings kPlaintextAllowed = {false, true, false, {}};
const Settings kBackend = {false, true, true, {}};
const Settings kBackendRefused = {false, false, true, {}};

// What a client sends, and what must come of it. Rows of one dialogue follow one another on one machine.
struct Row {
  absl::string_view octets;  // a line without its CRLF, or a literal where the machine wants one
  absl::string_view reply;   // with its CRLFs; or, ending in "...", how it begins
  State next;
  Act act = Act::kNone;
  Input::Kind wants = Input::Kind::kLine;  // afterwards
  size_t octets_wanted = 0;                // 0: not looked at
};

constexpr State P = State::kPlain, T = State::kAwaitTls, S = State::kSecured, L = State::kAwaitLogin, A = State::kSasl,
                C = State::kClosed;
constexpr Input::Kind kLiteral = Input::Kind::kLiteral, kDropped = Input::Kind::kDropped;

void Follow(const char* name, Machine& machine, const std::vector<Row>& rows) {
  SCOPED_TRACE(name);
  for (const Row& row : rows) {
    SCOPED_TRACE(std::string(row.octets));
    const bool line = machine.input().kind == Input::Kind::kLine;
    const Step step = line ? machine.OnLine(row.octets, Ending::kCrLf, false) : machine.OnLiteral(row.octets);
    absl::string_view reply = row.reply;
    if (absl::ConsumeSuffix(&reply, "..."))
      EXPECT_TRUE(absl::StartsWith(step.reply, reply)) << step.reply;
    else
      EXPECT_EQ(step.reply, reply);
    EXPECT_EQ(step.next, row.next);
    EXPECT_EQ(machine.state(), row.next);
    EXPECT_EQ(step.act, row.act);
    EXPECT_EQ(machine.input().kind, row.wants);
    if (row.octets_wanted != 0) {
      EXPECT_EQ(machine.input().octets, row.octets_wanted);
    }
  }
}

// Inside TLS, as after the handshake.
void Secure(Machine& machine) {
  machine.OnConnect();
  EXPECT_EQ(machine.OnLine("s STARTTLS", Ending::kCrLf, false).act, Act::kStartTls);
  EXPECT_EQ(machine.OnTls().reply, "");  // no second greeting
}

TEST(ImapMachineTest, Greets) {
  EXPECT_EQ(Machine(kStartTls).OnConnect().reply,
            "* OK [CAPABILITY IMAP4rev1 IDLE STARTTLS LOGINDISABLED] IMAP ready\r\n");
  EXPECT_EQ(Machine(kImplicit).OnConnect().reply,
            "* OK [CAPABILITY IMAP4rev1 IDLE SASL-IR AUTH=PLAIN AUTH=LOGIN] IMAP ready\r\n");
  EXPECT_EQ(Machine(kPlaintextAllowed).OnConnect().reply,
            "* OK [CAPABILITY IMAP4rev1 STARTTLS SASL-IR AUTH=PLAIN AUTH=LOGIN] IMAP ready\r\n");
  // What it authenticates with is told by the backend, once it has the client.
  EXPECT_EQ(Machine(kBackend).OnConnect().reply, "* OK [CAPABILITY IMAP4rev1 STARTTLS] IMAP ready\r\n");
  EXPECT_EQ(Machine(kBackendRefused).OnConnect().reply,
            "* OK [CAPABILITY IMAP4rev1 STARTTLS LOGINDISABLED] IMAP ready\r\n");
}

TEST(ImapMachineTest, FollowsTheTableInClearText) {
  Machine machine(kStartTls);
  machine.OnConnect();
  const char kPrivacy[] = "a NO [PRIVACYREQUIRED] STARTTLS first, no login in clear text\r\n";
  Follow("clear text, login refused", machine,
         {
             {"a CAPABILITY", "* CAPABILITY IMAP4rev1 IDLE STARTTLS LOGINDISABLED\r\na OK CAPABILITY completed\r\n", P},
             {"a capability", "* CAPABILITY ...", P},
             {"a CAPABILITY x", "a BAD the command takes no argument\r\n", P},
             {"a CAPABILITY ", "a BAD the command takes no argument\r\n", P},
             {"a.b]x NOOP", "a.b]x OK NOOP completed\r\n", P},
             {"a NOOP", "a OK NOOP completed\r\n", P},
             {"a LOGIN u p", kPrivacy, P},
             {"a LOGIN", kPrivacy, P},
             {"a LOGIN {5}", kPrivacy, P},  // the password is not asked for
             {"a LOGIN u {5}", kPrivacy, P},
             {"a AUTHENTICATE PLAIN", kPrivacy, P},
             {"a AUTHENTICATE PLAIN AHUAcA==", kPrivacy, P},
             {"a SELECT INBOX", "a BAD log in first\r\n", P},
             {"a UID FETCH 1 ALL", "a BAD log in first\r\n", P},
             {"a IDLE", "a BAD log in first\r\n", P},
             {"a APPEND x {5}", "a BAD log in first\r\n", P},
             {"a EHLO x", "a BAD unknown command\r\n", P},
             {"a EHLO {5}", "a BAD no literal is expected here\r\n", P},
             {"a", "a BAD a tag, a blank and a command are expected\r\n", P},
             {"a ", "a BAD a tag, a blank and a command are expected\r\n", P},
             {"a  NOOP", "a BAD a tag, a blank and a command are expected\r\n", P},
             {"", "* BAD a command begins with a tag\r\n", P},
             {" NOOP", "* BAD a command begins with a tag\r\n", P},
             {"* STARTTLS", "* BAD a command begins with a tag\r\n", P},
             {"+ STARTTLS", "* BAD a command begins with a tag\r\n", P},
             {"\xc3\xa4 NOOP", "* BAD a command begins with a tag\r\n", P},
             {"a \xc3\xa4", "a BAD a tag, a blank and a command are expected\r\n", P},
             {"a NOOP\xc3\xa4", "a BAD the command takes no argument\r\n", P},
             {"STARTTLS", "STARTTLS BAD a tag, a blank and a command are expected\r\n", P},
             {"a STARTTLS x", "a BAD the command takes no argument\r\n", P},
             {"a STARTTLS ", "a BAD the command takes no argument\r\n", P},
             {"a STARTTLS {3}", "a BAD no literal is expected here\r\n", P},
             {"a STARTTLSX", "a BAD unknown command\r\n", P},
             {"a \"STARTTLS\"", "a BAD a tag, a blank and a command are expected\r\n", P},
             {"a STARTTLS\ra NOOP", "a BAD control character in the line\r\n", P},
             {absl::string_view("a STARTTLS\0", 11), "a BAD control character in the line\r\n", P},
             {"a starttls", "a OK begin TLS\r\n", T, Act::kStartTls},
         });
}

TEST(ImapMachineTest, OctetsBehindStarttlsEndTheSession) {
  Machine machine(kStartTls);
  machine.OnConnect();
  const Step step = machine.OnLine("a STARTTLS", Ending::kCrLf, true);
  EXPECT_EQ(step.act, Act::kClose);
  EXPECT_STREQ(step.why, "injection");
  EXPECT_EQ(step.reply, "a BAD octets behind STARTTLS\r\n");
}

TEST(ImapMachineTest, FollowsTheTableInsideTls) {
  Machine machine(kStartTls);
  Secure(machine);
  Follow("inside TLS", machine,
         {
             {"a CAPABILITY",
              "* CAPABILITY IMAP4rev1 IDLE SASL-IR AUTH=PLAIN AUTH=LOGIN\r\na OK CAPABILITY completed\r\n", S},
             {"a STARTTLS", "a BAD TLS is already active\r\n", S},
             {"a LOGIN", "a BAD LOGIN wants a user name and a password\r\n", S},
             {"a LOGIN u", "a BAD LOGIN wants...", S},
             {"a LOGIN u ", "a BAD LOGIN wants...", S},
             {"a LOGIN  u p", "a BAD LOGIN wants...", S},
             {"a LOGIN u p ", "a BAD LOGIN wants...", S},
             {"a LOGIN u p q", "a BAD LOGIN wants...", S},
             {"a LOGIN u \"p", "a BAD LOGIN wants...", S},
             {"a LOGIN u \"p {5}", "a BAD LOGIN wants...", S},  // no literal: the quotes are open
             {"a LOGIN u {-1}", "a BAD LOGIN wants...", S},
             {"a LOGIN u (p)", "a BAD LOGIN wants...", S},
             {"a LOGIN \xc3\xa4 p", "a BAD LOGIN wants...", S},
             {"a LOGIN \"\" p", "a NO the user name is empty\r\n", S},
             {"a LOGIN u \"\"", "a NO the password is empty\r\n", S},
             {"a LOGIN \"\xc3\xa4\" \"p\\\"\\\\ w\"", "", L, Act::kLogin},
         });
  EXPECT_EQ(machine.user(), "\xc3\xa4");
  EXPECT_EQ(machine.password(), "p\"\\ w");
  EXPECT_EQ(machine.login_tag(), "a");
  const Step rejected = machine.OnLoginFailed(LoginAnswer::kRejected);
  EXPECT_EQ(rejected.reply, "a NO [AUTHENTICATIONFAILED] user name or password is wrong\r\n");
  EXPECT_EQ(rejected.next, S);
  EXPECT_EQ(machine.user() + machine.password(), "");
  Follow("after a rejected login", machine, {{"b LOGIN u p", "", L, Act::kLogin}});
  const Step last = machine.OnLoginFailed(LoginAnswer::kRejectedLast);
  EXPECT_EQ(last.reply, "b NO [AUTHENTICATIONFAILED] user name or password is wrong\r\n* BYE too many attempts\r\n");
  EXPECT_EQ(last.act, Act::kClose);
}

TEST(ImapMachineTest, OtherEndsOfALogin) {
  for (const auto& [answer, why] :
       {std::pair(LoginAnswer::kTemporary, "temporary"), std::pair(LoginAnswer::kPenalized, "penalty")}) {
    Machine machine(kImplicit);
    machine.OnConnect();
    machine.OnLine("a LOGIN u p", Ending::kCrLf, false);
    const Step step = machine.OnLoginFailed(answer);
    EXPECT_TRUE(absl::StartsWith(step.reply, "a NO [UNAVAILABLE] ")) << step.reply;
    EXPECT_TRUE(absl::StrContains(step.reply, "\r\n* BYE ")) << step.reply;
    EXPECT_EQ(step.act, Act::kClose);
    EXPECT_STREQ(step.why, why);
  }
}

TEST(ImapMachineTest, TakesLiterals) {
  Machine machine(kImplicit);
  machine.OnConnect();
  Follow("waiting to be told", machine,
         {
             {"a LOGIN {4}", "+ go on\r\n", S, Act::kNone, kLiteral, 4},
             {"us\"r", "", S},
             {" {2}", "+ go on\r\n", S, Act::kNone, kLiteral, 2},
             {"{}", "", S},
             {"", "", L, Act::kLogin},
         });
  EXPECT_EQ(machine.user(), "us\"r");
  EXPECT_EQ(machine.password(), "{}");
  machine.OnLoginFailed(LoginAnswer::kRejected);
  Follow("not waiting", machine,
         {
             {"a LOGIN {1+}", "", S, Act::kNone, kLiteral, 1},
             {"u", "", S},
             {" {12+}", "", S, Act::kNone, kLiteral, 12},
             {"b STARTTLS x", "", S},  // data
             {"", "", L, Act::kLogin},
         });
  EXPECT_EQ(machine.password(), "b STARTTLS x");
  machine.OnLoginFailed(LoginAnswer::kRejected);
  Follow("odd ones", machine,
         {
             {"a LOGIN u {501}", "+ go on\r\n", S, Act::kNone, kLiteral, 501},
             {std::string(501, 'p').c_str(), "", S},
             {"", "a NO user name and password are too long to be tried\r\n", S},
             {"a LOGIN u {502}", "a BAD the literal is too long\r\n", S},
             {"a LOGIN u {2147483648}", "a BAD the literal is too long\r\n", S},
             {"a LOGIN u {18446744073709551616}", "a BAD the literal is too long\r\n", S},
             {"a LOGIN {0}", "+ go on\r\n", S, Act::kNone, kLiteral},
             {"", "", S},
             {" p", "a NO the user name is empty\r\n", S},
             {"a LOGIN u {3}", "+ go on\r\n", S, Act::kNone, kLiteral, 3},
             {absl::string_view("p\0q", 3), "", S},
             {"", "a NO control character in user name or password\r\n", S},
             {"a LOGIN u {1}", "+ go on\r\n", S, Act::kNone, kLiteral, 1},
             {"p", "", S},
             {"x", "a BAD LOGIN wants...", S},
             {"a LOGIN u {1}", "+ go on\r\n", S, Act::kNone, kLiteral, 1},
             {"p", "", S},
             {" \"", "a BAD LOGIN wants...", S},
             {"a NOOP", "a OK NOOP completed\r\n", S},
         });
}

// RFC 7888 §4: what comes unasked is taken and dropped, and no octet of it is obeyed.
TEST(ImapMachineTest, DropsWhatARefusedCommandBrings) {
  Machine machine(kStartTls);
  machine.OnConnect();
  Follow("refused", machine,
         {
             {"a LOGIN {5+}", "", P, Act::kNone, kDropped, 5},
             {"", "", P},
             {" {600+}", "", P, Act::kNone, kDropped, 600},
             {"", "", P},
             {"", "a NO [PRIVACYREQUIRED]...", P},
             {"b APPEND x {65536+}", "", P, Act::kNone, kDropped, 65536},
             {"", "", P},
             {"", "b BAD log in first\r\n", P},
             {"{5+}", "", P, Act::kNone, kDropped, 5},
             {"", "", P},
             {" x", "* BAD a command begins with a tag\r\n", P},
             {"c STARTTLS {5+}", "", P, Act::kNone, kDropped, 5},
             {"", "", P},
             {"", "c BAD no literal is expected here\r\n", P},
             {"d APPEND x {65000+}", "", P, Act::kNone, kDropped, 65000},
             {"", "", P},
             {" {536+}", "", P, Act::kNone, kDropped, 536},
             {"", "", P},
             {" {1+}", "d BAD log in first\r\n* BYE more than can be dropped\r\n", C, Act::kClose},
         });
  for (const char* number : {"65537", "2147483648", "9223372036854775808", "18446744073709551616"}) {
    Machine another(kStartTls);
    another.OnConnect();
    const Step step = another.OnLine(absl::StrCat("a LOGIN {", number, "+}"), Ending::kCrLf, false);
    EXPECT_EQ(step.act, Act::kClose);
    EXPECT_STREQ(step.why, "literal_too_long");
  }
}

TEST(ImapMachineTest, ACommandHasALimitInAll) {
  Machine machine(kStartTls);
  machine.OnConnect();
  EXPECT_EQ(machine.input().octets, kCommandOctetsMax);
  Step step = {};
  int literals = 0;
  for (; step.act == Act::kNone && literals < 10000; ++literals) {
    step = machine.OnLine(literals == 0 ? "a ID {0+}" : "{0+}", Ending::kCrLf, false);
    EXPECT_LE(machine.input().octets, kCommandOctetsMax);
    if (machine.input().kind != Input::Kind::kLine) machine.OnLiteral("");
  }
  EXPECT_EQ(step.act, Act::kClose);
  EXPECT_STREQ(step.why, "line_too_long");
  EXPECT_LT(literals, 2000);
}

TEST(ImapMachineTest, LinesThatAreTooLongOrEndOddly) {
  Machine machine(kImplicit);
  machine.OnConnect();
  EXPECT_EQ(machine.OnLine("a NOOP", Ending::kBareLf, false).reply, "a BAD a line ends in CR LF, not in a bare LF\r\n");
  EXPECT_EQ(machine.OnLine("a LOGIN {1}", Ending::kBareLf, false).reply,
            "a BAD a line ends in CR LF, not in a bare LF\r\n");
  EXPECT_EQ(machine.OnLine("", Ending::kBareLf, false).reply, "* BAD a line ends in CR LF, not in a bare LF\r\n");
  machine.OnLine("b LOGIN {1}", Ending::kCrLf, false);
  machine.OnLiteral("u");
  EXPECT_EQ(machine.OnLine(" p", Ending::kBareLf, false).reply, "b BAD a line ends in CR LF, not in a bare LF\r\n");
  EXPECT_EQ(machine.OnLine("c NOOP", Ending::kCrLf, false).reply, "c OK NOOP completed\r\n");
  const Step step = machine.OnLine("a NO", Ending::kTooLong, true);
  EXPECT_EQ(step.reply, "* BYE line too long\r\n");
  EXPECT_STREQ(step.why, "line_too_long");
}

TEST(ImapMachineTest, TagsHaveALimit) {
  Machine machine(kImplicit);
  machine.OnConnect();
  const std::string longest(kTagOctetsMax, 'a'), longer = longest + "a";
  EXPECT_EQ(machine.OnLine(longest + " NOOP", Ending::kCrLf, false).reply, longest + " OK NOOP completed\r\n");
  EXPECT_EQ(machine.OnLine(longer + " NOOP", Ending::kCrLf, false).reply, "* BAD a command begins with a tag\r\n");
}

TEST(ImapMachineTest, NotForEverBad) {
  Machine machine(kStartTls);
  machine.OnConnect();
  for (int i = 1; i < kBadCommandsMax; ++i) {
    EXPECT_EQ(machine.OnLine("a BLA", Ending::kCrLf, true).act, Act::kNone);
    EXPECT_EQ(machine.OnLine("a NOOP", Ending::kCrLf, true).act, Act::kNone);  // as often as one likes
  }
  const Step step = machine.OnLine("a BLA", Ending::kCrLf, true);
  EXPECT_EQ(step.reply, "a BAD unknown command\r\n* BYE too many bad commands\r\n");
  EXPECT_STREQ(step.why, "bad_commands");
}

TEST(ImapMachineTest, Authenticates) {
  const std::string good = absl::Base64Escape(absl::string_view("\0u\0p", 4));
  Machine machine(kImplicit);
  machine.OnConnect();
  Follow("odd exchanges", machine,
         {
             {"a AUTHENTICATE", "a BAD AUTHENTICATE wants...", S},
             {"a AUTHENTICATE ", "a BAD AUTHENTICATE wants...", S},
             {"a AUTHENTICATE PLAIN x y", "a BAD AUTHENTICATE wants...", S},
             {"a AUTHENTICATE PLAIN {5}", "a BAD no literal is expected here\r\n", S},
             {"a AUTHENTICATE CRAM-MD5", "a NO only PLAIN and LOGIN are served here\r\n", S},
             {"a AUTHENTICATE PLAIN =", "a NO PLAIN wants three fields\r\n", S},
             {"a AUTHENTICATE PLAIN !", "a BAD not base64\r\n", S},
             {"a AUTHENTICATE PLAIN", "+ \r\n", A},
             {"*", "a BAD cancelled\r\n", S},
             {"a AUTHENTICATE PLAIN", "+ \r\n", A},
             {"b STARTTLS", "a BAD not base64\r\n", S},  // data, whatever it looks like
             {"c AUTHENTICATE LOGIN", "+ VXNlcm5hbWU6\r\n", A},
             {"dQ==", "+ UGFzc3dvcmQ6\r\n", A},
             {"cA==", "", L, Act::kLogin},
         });
  EXPECT_EQ(machine.user() + machine.password(), "up");
  EXPECT_EQ(machine.login_tag(), "c");
  machine.OnLoginFailed(LoginAnswer::kRejected);
  Follow("good ones", machine, {{"d authenticate plain", "+ \r\n", A}, {good, "", L, Act::kLogin}});
  machine.OnLoginFailed(LoginAnswer::kRejected);
  Follow("initial response", machine, {{absl::StrCat("e AUTHENTICATE PLAIN ", good), "", L, Act::kLogin}});
  EXPECT_EQ(machine.user() + machine.password(), "up");
}

TEST(ImapMachineTest, ABareLfEndsAnExchange) {
  Machine machine(kImplicit);
  machine.OnConnect();
  machine.OnLine("a AUTHENTICATE PLAIN", Ending::kCrLf, false);
  EXPECT_EQ(machine.input().octets, sasl::kAnswerOctetsMax);
  const Step step = machine.OnLine("AHUAcA==", Ending::kBareLf, false);
  EXPECT_EQ(step.reply, "a BAD a line ends in CR LF, not in a bare LF\r\n");
  EXPECT_EQ(step.next, S);
}

TEST(ImapMachineTest, TakesIds) {
  Machine machine(kStartTls);
  machine.OnConnect();
  const char kGood[] = "* ID NIL\r\na OK ID completed\r\n", kBad[] = "a BAD ID wants...";
  Follow("RFC 2971", machine,
         {
             {"a ID NIL", kGood, P},
             {"a id nil", kGood, P},
             {"a ID ()", kGood, P},
             {"a ID (\"name\" \"mutt\")", kGood, P},
             {"a ID (\"name\" \"mutt\" \"version\" NIL)", kGood, P},
             {"a ID ({4+}", "", P, Act::kNone, kLiteral, 4},
             {"name", "", P},
             {" NIL)", kGood, P},
             {"a ID", kBad, P},
             {"a ID ", kBad, P},
             {"a ID \"x\"", kBad, P},
             {"a ID (\"name\")", kBad, P},
             {"a ID (\"name\" \"mutt\" )", kBad, P},
             {"a ID (\"name\" \"mutt\"", kBad, P},
             {"a ID (\"name\" \"mutt\") x", kBad, P},
             {"a ID (name mutt)", kBad, P},
             {"a ID (\"name\" {502})", kBad, P},
             {"a ID (\"name\" {502}", "a BAD the literal is too long\r\n", P},
         });
}

TEST(ImapMachineTest, LogsOut) {
  Machine machine(kStartTls);
  machine.OnConnect();
  EXPECT_EQ(machine.OnLine("a LOGOUT x", Ending::kCrLf, false).act, Act::kNone);
  const Step step = machine.OnLine("a LOGOUT", Ending::kCrLf, true);
  EXPECT_EQ(step.reply, "* BYE bye\r\na OK LOGOUT completed\r\n");
  EXPECT_STREQ(step.why, "logout");
}

TEST(ImapMachineTest, StarttlsForgetsEverything) {
  Machine machine(kPlaintextAllowed);
  machine.OnConnect();
  machine.OnLine("a LOGIN u p", Ending::kCrLf, false);
  machine.OnLoginFailed(LoginAnswer::kRejected);
  EXPECT_EQ(machine.OnLine("b STARTTLS", Ending::kCrLf, false).act, Act::kStartTls);
  machine.OnTls();
  EXPECT_EQ(machine.user() + machine.password(), "");
  EXPECT_EQ(machine.OnLine("c NOOP", Ending::kCrLf, false).reply, "c OK NOOP completed\r\n");
}

TEST(ImapMachineTest, ABackendGetsTheLoginAsItCame) {
  for (absl::string_view line : {"a LOGIN u p", "a login {1}", "a LOGIN {1+}", "a AUTHENTICATE PLAIN =", "a LOGIN"}) {
    Machine machine(kBackend);
    machine.OnConnect();
    const Step step = machine.OnLine(line, Ending::kCrLf, false);
    EXPECT_EQ(step.act, Act::kBackendLogin);
    EXPECT_EQ(step.reply, "");
    EXPECT_EQ(machine.login_line(), line);
    EXPECT_EQ(machine.user(), "");
  }
  Machine machine(kBackend);
  machine.OnConnect();
  Follow("not these", machine,
         {
             {"a LOGINX u p", "a BAD unknown command\r\n", P},
             {"a LOGIN u\tp", "a BAD control...", P},
             {" LOGIN u p", "* BAD...", P},
             {"a NOOP", "a OK NOOP completed\r\n", P},
         });
  Machine refused(kBackendRefused);
  refused.OnConnect();
  Follow("not in clear text", refused, {{"a LOGIN u p", "a NO [PRIVACYREQUIRED]...", P}});
}

TEST(ImapMachineTest, JudgesABackendsGreeting) {
  const Machine machine(kBackend);
  const char kGone[] = "* BYE the mail server is not available, try again later";
  EXPECT_EQ(machine.Refusal("* OK [CAPABILITY IMAP4rev1] ready"), "");
  EXPECT_EQ(machine.Refusal("* BYE too many clients"), "* BYE too many clients");
  for (absl::string_view line : {"* PREAUTH Ready", "+OK ready", "* NO", "a OK", "* OK", ""})
    EXPECT_EQ(machine.Refusal(line), kGone) << std::string(line);
}

}  // namespace
}  // namespace postern::protocolbroker::imap
