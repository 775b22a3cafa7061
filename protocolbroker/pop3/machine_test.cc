#include "protocolbroker/pop3/machine.h"

#include <gtest/gtest.h>

#include "absl/strings/escaping.h"
#include "absl/strings/match.h"
#include "absl/strings/str_split.h"

namespace postern::protocolbroker::pop3 {
namespace {

const Settings kStartTls = {false, false, false, {"TOP", "UIDL"}};
const Settings kImplicit = {true, false, false, {"TOP", "UIDL"}};
const Settings kPlaintextAllowed = {false, true, false, {}};
const Settings kBackend = {false, true, true, {"TOP", "SASL PLAIN"}};
const Settings kBackendRefused = {false, false, true, {"TOP", "SASL PLAIN", "RESP-CODES"}};

// A line as a client sends it, and what must come of it. Rows of one dialogue follow one another on one machine.
struct Row {
  absl::string_view line;
  Ending ending;
  bool more;
  absl::string_view reply;  // how the reply begins; "" is no reply
  State next;
  Act act;
};

constexpr State P = State::kPlain, T = State::kAwaitTls, S = State::kSecured, L = State::kAwaitLogin, A = State::kSasl,
                C = State::kClosed;
constexpr Ending kCrLf = Ending::kCrLf;

void Follow(const char* name, Machine& machine, const std::vector<Row>& rows) {
  SCOPED_TRACE(name);
  for (const Row& row : rows) {
    SCOPED_TRACE(std::string(row.line));
    const Step step = machine.OnLine(row.line, row.ending, row.more);
    EXPECT_TRUE(absl::StartsWith(step.reply, row.reply)) << step.reply;
    EXPECT_EQ(step.reply.empty(), row.reply.empty()) << step.reply;
    EXPECT_TRUE(step.reply.empty() || absl::EndsWith(step.reply, "\r\n"));
    EXPECT_LE(std::string(step.reply).find("\r\n") + 2, 512u);  // RFC 2449 §4
    EXPECT_EQ(step.next, row.next);
    EXPECT_EQ(machine.state(), row.next);
    EXPECT_EQ(step.act, row.act);
  }
}

TEST(Pop3MachineTest, FollowsTheTableInClearText) {
  Machine machine(kStartTls);
  EXPECT_EQ(machine.OnConnect().reply, "+OK POP3 ready\r\n");
  Follow("clear text, login refused", machine,
         {
             {"CAPA", kCrLf, false, "+OK", P, Act::kNone},
             {"capa", kCrLf, true, "+OK", P, Act::kNone},  // pipelining is fine before STLS
             {"CAPA x", kCrLf, false, "-ERR", P, Act::kNone},
             {"USER demo", kCrLf, false, "-ERR STLS first", P, Act::kNone},
             {"PASS demo", kCrLf, false, "-ERR STLS first", P, Act::kNone},
             {"USER", kCrLf, false, "-ERR", P, Act::kNone},
             {"APOP demo 0123", kCrLf, false, "-ERR", P, Act::kNone},
             {"AUTH PLAIN AGRlbW8AZGVtbw==", kCrLf, false, "-ERR STLS first", P, Act::kNone},
             {"AUTH", kCrLf, false, "-ERR STLS first", P, Act::kNone},
             {"NOOP", kCrLf, false, "-ERR log in first", P, Act::kNone},
             {"STAT", kCrLf, false, "-ERR log in first", P, Act::kNone},
             {"RETR 1", kCrLf, false, "-ERR log in first", P, Act::kNone},
             {"", kCrLf, false, "-ERR unknown", P, Act::kNone},
             {" STLS", kCrLf, false, "-ERR unknown", P, Act::kNone},
             {"STLSX", kCrLf, false, "-ERR unknown", P, Act::kNone},
             {"EHLO x", kCrLf, false, "-ERR unknown", P, Act::kNone},
             {"GET / HTTP/1.1", kCrLf, false, "-ERR unknown", P, Act::kNone},
             {"QUIT now", kCrLf, false, "-ERR", P, Act::kNone},
             {"STLS now", kCrLf, false, "-ERR STLS takes no argument", P, Act::kNone},
             {"STLS ", kCrLf, false, "-ERR STLS takes no argument", P, Act::kNone},  // class 3 of STARTTLS faults
             {"STLS", Ending::kBareLf, false, "-ERR a line ends", P, Act::kNone},
             {"STLS\rCAPA", kCrLf, false, "-ERR control", P, Act::kNone},
             {absl::string_view("STLS\0", 5), kCrLf, false, "-ERR control", P, Act::kNone},
             {"stls", kCrLf, false, "+OK begin TLS", T, Act::kStartTls},
         });
}

TEST(Pop3MachineTest, OctetsBehindStlsEndTheSession) {
  Machine machine(kStartTls);
  machine.OnConnect();
  Follow("CVE-2011-0411 class", machine, {{"STLS", kCrLf, true, "-ERR", C, Act::kClose}});
  Machine again(kStartTls);
  again.OnConnect();
  EXPECT_STREQ(again.OnLine("STLS", kCrLf, true).why, "injection");
}

TEST(Pop3MachineTest, FollowsTheTableInsideTls) {
  Machine machine(kStartTls);
  machine.OnConnect();
  machine.OnLine("STLS", kCrLf, false);
  EXPECT_EQ(machine.OnTls().reply, "");  // no second greeting
  Follow("inside TLS", machine,
         {
             {"STLS", kCrLf, false, "-ERR TLS is already", S, Act::kNone},
             {"PASS demo", kCrLf, false, "-ERR USER first", S, Act::kNone},
             {"USER ", kCrLf, false, "-ERR USER needs", S, Act::kNone},
             {"USER demo", kCrLf, false, "+OK", S, Act::kNone},
             {"PASS", kCrLf, false, "-ERR PASS needs", S, Act::kNone},
             {absl::string_view("PASS a\0b", 8), kCrLf, false, "-ERR control", S, Act::kNone},
             {"USER other", kCrLf, false, "+OK", S, Act::kNone},
             {"PASS  two spaces ", kCrLf, true, "", L, Act::kLogin},
         });
  EXPECT_EQ(machine.user(), "other");
  EXPECT_EQ(machine.password(), " two spaces ");
  EXPECT_EQ(machine.OnLoginFailed(LoginAnswer::kRejected).next, S);
  Follow("after a rejected login", machine,
         {
             {"PASS demo", kCrLf, false, "-ERR USER first", S, Act::kNone},
             {"USER demo", kCrLf, false, "+OK", S, Act::kNone},
             {"PASS demo", kCrLf, false, "", L, Act::kLogin},
         });
  const Step last = machine.OnLoginFailed(LoginAnswer::kRejectedLast);
  EXPECT_TRUE(absl::StartsWith(last.reply, "-ERR [AUTH]"));
  EXPECT_EQ(last.act, Act::kClose);
}

TEST(Pop3MachineTest, StlsForgetsTheUser) {
  Machine machine(kPlaintextAllowed);
  machine.OnConnect();
  Follow("USER, then STLS", machine,
         {{"USER demo", kCrLf, false, "+OK", P, Act::kNone}, {"STLS", kCrLf, false, "+OK", T, Act::kStartTls}});
  machine.OnTls();
  Follow("inside", machine, {{"PASS demo", kCrLf, false, "-ERR USER first", S, Act::kNone}});
}

TEST(Pop3MachineTest, ClearTextLoginWhereItIsAllowed) {
  Machine machine(kPlaintextAllowed);
  machine.OnConnect();
  Follow("clear text, login allowed", machine,
         {{"USER demo", kCrLf, false, "+OK", P, Act::kNone}, {"PASS x", kCrLf, false, "", L, Act::kLogin}});
  EXPECT_EQ(machine.OnLoginFailed(LoginAnswer::kRejected).next, P);
  Follow("STLS after a failed login", machine, {{"STLS", kCrLf, false, "+OK", T, Act::kStartTls}});
}

TEST(Pop3MachineTest, Auth) {
  Machine machine(kImplicit);
  machine.OnConnect();
  Follow("inside TLS", machine,
         {
             {"AUTH", kCrLf, false, "-ERR only PLAIN and LOGIN", S, Act::kNone},
             {"AUTH ", kCrLf, false, "-ERR only PLAIN and LOGIN", S, Act::kNone},
             {"AUTH CRAM-MD5", kCrLf, false, "-ERR only PLAIN and LOGIN", S, Act::kNone},
             {"AUTH CRAM-MD5 AAAA", kCrLf, false, "-ERR only PLAIN and LOGIN", S, Act::kNone},
             {"AUTH PLAIN\tAAAA", kCrLf, false, "-ERR control", S, Act::kNone},
             {"AUTH PLAIN AGRlbW8AZGVtbw", kCrLf, false, "-ERR not base64", S, Act::kNone},
             {"AUTH PLAIN b3RoZXIAZGVtbwBkZW1v", kCrLf, false, "-ERR no login as another", S, Act::kNone},
             {"AUTH PLAIN AGRlbW8A", kCrLf, false, "-ERR the password is empty", S, Act::kNone},
             {"AUTH PLAIN AGRlbW8AZAplbW8=", kCrLf, false, "-ERR control character in user", S, Act::kNone},
             {"AUTH PLAIN *", kCrLf, false, "-ERR cancelled", S, Act::kNone},
             {"AUTH PLAIN x y", kCrLf, false, "-ERR not base64", S, Act::kNone},
             {"AUTH PLAIN =", kCrLf, false, "-ERR PLAIN wants", S, Act::kNone},
             {"auth plain", kCrLf, false, "+ \r\n", A, Act::kNone},
             {"*", kCrLf, false, "-ERR cancelled", S, Act::kNone},
             // What answers a challenge is no command, whatever it looks like.
             {"AUTH PLAIN", kCrLf, false, "+ \r\n", A, Act::kNone},
             {"STLS", kCrLf, true, "-ERR PLAIN wants", S, Act::kNone},
             {"AUTH PLAIN", kCrLf, false, "+ \r\n", A, Act::kNone},
             {"CAPA", kCrLf, false, "-ERR PLAIN wants", S, Act::kNone},
             {"AUTH PLAIN", kCrLf, false, "+ \r\n", A, Act::kNone},
             {"PASS demo", kCrLf, false, "-ERR not base64", S, Act::kNone},
             {"AUTH PLAIN", kCrLf, false, "+ \r\n", A, Act::kNone},
             {"=", kCrLf, false, "-ERR not base64", S, Act::kNone},  // only an initial response may be "="
             {"AUTH LOGIN", kCrLf, false, "+ VXNlcm5hbWU6\r\n", A, Act::kNone},
             {"QUIT", kCrLf, false, "+ UGFzc3dvcmQ6\r\n", A, Act::kNone},
             {"CAPA", Ending::kBareLf, false, "-ERR a line ends", S, Act::kNone},
             {"AUTH LOGIN", kCrLf, false, "+ VXNlcm5hbWU6\r\n", A, Act::kNone},
             {"", kCrLf, false, "+ UGFzc3dvcmQ6\r\n", A, Act::kNone},
             {"cA==", kCrLf, false, "-ERR the user name is empty", S, Act::kNone},
             {"AUTH LOGIN ZGVtbw==", kCrLf, false, "+ UGFzc3dvcmQ6\r\n", A, Act::kNone},
             {"cGFzcw==", kCrLf, true, "", L, Act::kLogin},
         });
  EXPECT_EQ(machine.user(), "demo");
  EXPECT_EQ(machine.password(), "pass");
  EXPECT_EQ(machine.OnLoginFailed(LoginAnswer::kRejected).next, S);
  Follow("after a rejected login", machine, {{"AUTH PLAIN AGRlbW8AZGVtbw==", kCrLf, false, "", L, Act::kLogin}});
  EXPECT_EQ(machine.password(), "demo");
}

TEST(Pop3MachineTest, AuthThatFailsLeavesWhatWasSaidBefore) {
  Machine machine(kImplicit);
  machine.OnConnect();
  Follow("USER, AUTH, PASS", machine,
         {
             {"USER demo", kCrLf, false, "+OK", S, Act::kNone},
             {"AUTH LOGIN b3RoZXI=", kCrLf, false, "+ UGFzc3dvcmQ6\r\n", A, Act::kNone},
             {"*", kCrLf, false, "-ERR cancelled", S, Act::kNone},
             {"PASS x", kCrLf, false, "", L, Act::kLogin},
         });
  EXPECT_EQ(machine.user(), "demo");
  machine.OnLoginFailed(LoginAnswer::kRejected);
  Follow("and one that was tried does not", machine, {{"PASS x", kCrLf, false, "-ERR USER first", S, Act::kNone}});
}

TEST(Pop3MachineTest, AuthIsAnsweredAsPassIs) {
  for (LoginAnswer answer :
       {LoginAnswer::kRejected, LoginAnswer::kRejectedLast, LoginAnswer::kTemporary, LoginAnswer::kPenalized}) {
    Machine auth(kImplicit), pass(kImplicit);
    auth.OnConnect();
    pass.OnConnect();
    auth.OnLine("AUTH PLAIN AGRlbW8AZGVtbw==", kCrLf, false);
    pass.OnLine("USER demo", kCrLf, false);
    pass.OnLine("PASS demo", kCrLf, false);
    EXPECT_EQ(auth.user(), pass.user());
    EXPECT_EQ(auth.password(), pass.password());
    const Step one = auth.OnLoginFailed(answer), other = pass.OnLoginFailed(answer);
    EXPECT_EQ(one.reply, other.reply);
    EXPECT_EQ(one.next, other.next);
    EXPECT_EQ(one.act, other.act);
    EXPECT_STREQ(one.why, other.why);
    EXPECT_EQ(auth.user() + auth.password(), "");
  }
}

TEST(Pop3MachineTest, CredentialsThatNoCheckpasswordTakesAreNotTried) {
  Machine machine(kImplicit);
  machine.OnConnect();
  const std::string most(sasl::kCredentialsOctetsMax - 1, 'x');
  for (const auto& [password, act] : {std::pair(most, Act::kLogin), std::pair(most + "x", Act::kNone)}) {
    machine.OnLine("AUTH LOGIN dQ==", kCrLf, false);
    const std::string answer = absl::Base64Escape(password);
    EXPECT_LE(answer.size() + 2, machine.input().octets);
    const Step step = machine.OnLine(answer, kCrLf, false);
    EXPECT_EQ(step.act, act);
    EXPECT_EQ(step.reply, act == Act::kLogin ? "" : "-ERR user name and password are too long to be tried\r\n");
    if (act == Act::kLogin) machine.OnLoginFailed(LoginAnswer::kRejected);
  }
}

TEST(Pop3MachineTest, AnAnswerMayBeLongerThanACommand) {
  Machine machine(kImplicit);
  machine.OnConnect();
  EXPECT_EQ(machine.input().octets, kCommandOctetsMax);
  machine.OnLine("AUTH PLAIN", kCrLf, false);
  EXPECT_EQ(machine.input().octets, sasl::kAnswerOctetsMax);
  EXPECT_EQ(machine.OnLine(std::string(1000, 'x'), Ending::kTooLong, true).act, Act::kClose);
}

TEST(Pop3MachineTest, AuthInClearTextLeadsBackToIt) {
  Machine machine(kPlaintextAllowed);
  machine.OnConnect();
  Follow("clear text", machine,
         {
             {"AUTH PLAIN", kCrLf, false, "+ \r\n", A, Act::kNone},
             {"AGRlbW8AZGVtbw==", kCrLf, false, "", L, Act::kLogin},
         });
  EXPECT_EQ(machine.OnLoginFailed(LoginAnswer::kRejected).next, P);
  Follow("STLS after it", machine, {{"STLS", kCrLf, false, "+OK", T, Act::kStartTls}});
}

TEST(Pop3MachineTest, TheBackendLogsIn) {
  Machine refused(kBackendRefused);
  refused.OnConnect();
  Follow("refused", refused,
         {
             {"USER demo", kCrLf, false, "-ERR STLS first", P, Act::kNone},
             {"AUTH PLAIN x", kCrLf, false, "-ERR STLS first", P, Act::kNone},
             {"STLS", kCrLf, false, "+OK", T, Act::kStartTls},
         });
  Machine machine(kBackend);
  machine.OnConnect();
  Follow("allowed", machine,
         {
             {"PASS demo", kCrLf, false, "-ERR USER first", P, Act::kNone},
             {"APOP demo 0123", kCrLf, false, "-ERR", P, Act::kNone},
             {"USER demo", kCrLf, false, "+OK", P, Act::kNone},
             {"pass two  words", kCrLf, true, "", L, Act::kBackendLogin},
         });
  EXPECT_EQ(machine.user(), "demo");
  EXPECT_EQ(machine.login_line(), "pass two  words");
  EXPECT_EQ(machine.BackendCapabilities(), "TOP\r\nSASL PLAIN\r\nUSER\r\n.\r\n");
  Machine auth(kBackend);
  auth.OnConnect();
  Follow("AUTH", auth,
         {
             {"USER demo", kCrLf, false, "+OK", P, Act::kNone},
             {"PASS", kCrLf, false, "-ERR PASS needs", P, Act::kNone},
             {"AUTH", kCrLf, false, "-ERR AUTH needs a mechanism", P, Act::kNone},
             {"AUTH  ", kCrLf, false, "-ERR AUTH needs a mechanism", P, Act::kNone},
             {"AUTH CRAM-MD5", kCrLf, false, "", L, Act::kBackendLogin},
         });
  EXPECT_EQ(auth.user(), "");
  EXPECT_EQ(auth.login_line(), "AUTH CRAM-MD5");
}

TEST(Pop3MachineTest, APenaltySaysSo) {
  Machine machine(kImplicit);
  machine.OnConnect();
  machine.OnLine("AUTH PLAIN AGRlbW8AZGVtbw==", kCrLf, false);
  const Step step = machine.OnLoginFailed(LoginAnswer::kPenalized);
  EXPECT_TRUE(absl::StartsWith(step.reply, "-ERR [SYS/TEMP]")) << step.reply;
  EXPECT_EQ(step.act, Act::kClose);
  EXPECT_STREQ(step.why, "penalty");
}

// RFC 2449 §6.4: a code in brackets is one only where RESP-CODES is announced.
TEST(Pop3MachineTest, CodesAreSentWhereTheyAreAnnounced) {
  const struct {
    std::vector<std::string> capabilities;
    absl::string_view reply;
  } kRows[] = {{{"TOP"}, "-ERR cannot"}, {{"TOP", "RESP-CODES"}, "-ERR [SYS/TEMP] cannot"}};
  for (const auto& row : kRows) {
    Machine machine({false, true, true, row.capabilities});
    machine.OnConnect();
    machine.OnLine("AUTH PLAIN", kCrLf, false);
    const Step step = machine.OnLoginFailed(LoginAnswer::kTemporary);
    EXPECT_TRUE(absl::StartsWith(step.reply, row.reply)) << step.reply;
  }
}

TEST(Pop3MachineTest, ATemporaryFailureSaysSo) {
  Machine machine(kImplicit);
  EXPECT_EQ(machine.OnConnect().next, S);
  machine.OnLine("USER demo", kCrLf, false);
  machine.OnLine("PASS demo", kCrLf, false);
  const Step step = machine.OnLoginFailed(LoginAnswer::kTemporary);
  EXPECT_TRUE(absl::StartsWith(step.reply, "-ERR [SYS/TEMP]")) << step.reply;
  EXPECT_EQ(step.act, Act::kClose);
}

TEST(Pop3MachineTest, EndsWhereItMust) {
  const Settings settings[] = {kStartTls, kImplicit, kPlaintextAllowed};
  for (const Settings& each : settings) {
    Machine quit(each);
    quit.OnConnect();
    EXPECT_EQ(quit.OnLine("quit", kCrLf, false).reply, "+OK bye\r\n");
    EXPECT_EQ(quit.state(), C);
    Machine overlong(each);
    overlong.OnConnect();
    const Step step = overlong.OnLine(std::string(kCommandOctetsMax, 'x'), Ending::kTooLong, true);
    EXPECT_EQ(step.reply, "-ERR line too long\r\n");
    EXPECT_EQ(step.act, Act::kClose);
  }
}

TEST(Pop3MachineTest, CapaSaysWhatHolds) {
  const struct {
    Settings settings;
    bool after_stls;
    std::vector<absl::string_view> has, has_not;
  } kRows[] = {
      {kStartTls, false, {"STLS", "TOP", "UIDL", "PIPELINING", "RESP-CODES"}, {"USER", "SASL PLAIN LOGIN"}},
      {kStartTls, true, {"USER", "SASL PLAIN LOGIN", "TOP", "PIPELINING", "AUTH-RESP-CODE"}, {"STLS"}},
      {kImplicit, false, {"USER", "SASL PLAIN LOGIN", "TOP", "RESP-CODES"}, {"STLS"}},
      {kPlaintextAllowed, false, {"USER", "SASL PLAIN LOGIN", "STLS", "PIPELINING"}, {"TOP"}},
      // What the backend bears out is the administrator's to say.
      {kBackend, false, {"USER", "SASL PLAIN", "STLS", "TOP"}, {"PIPELINING", "RESP-CODES", "AUTH-RESP-CODE"}},
      {kBackendRefused, false, {"STLS", "TOP", "RESP-CODES"}, {"USER", "SASL PLAIN", "PIPELINING"}},
  };
  for (const auto& row : kRows) {
    Machine machine(row.settings);
    machine.OnConnect();
    if (row.after_stls) {
      machine.OnLine("STLS", kCrLf, false);
      machine.OnTls();
    }
    const std::vector<std::string> lines = absl::StrSplit(machine.OnLine("CAPA", kCrLf, false).reply, "\r\n");
    const auto count = [&](absl::string_view word) { return std::count(lines.begin(), lines.end(), word); };
    for (absl::string_view line : row.has) EXPECT_EQ(count(line), 1) << line;
    for (absl::string_view line : row.has_not) EXPECT_EQ(count(line), 0) << line;
    EXPECT_EQ(lines[lines.size() - 2], ".");
    EXPECT_EQ(lines.back(), "");
  }
}

}  // namespace
}  // namespace postern::protocolbroker::pop3
