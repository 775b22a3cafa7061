// What a client may send before it has logged in, through the line reader's rules and the POP3 machine: whatever it is,
// the machine answers in whole lines, obeys no command that answers a challenge, and never logs in in clear text where
// that is refused, or with octets that shift a field.
#include <cstddef>
#include <cstdint>
#include <string>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/string_view.h"
#include "protocolbroker/pop3/machine.h"
#include "tests/fuzz/line_stream.h"

namespace {

using namespace postern::protocolbroker;  // NOLINT: a test
using postern::fuzz::Check;
using postern::fuzz::LineStream;
using postern::protocolbroker::pop3::kCommandOctetsMax;
using postern::protocolbroker::pop3::Machine;

void CheckCredentials(const Machine& machine) {
  for (const std::string& field : {machine.user(), machine.password()}) {
    Check(!field.empty() && field.size() <= postern::protocolbroker::sasl::kCredentialsOctetsMax);
    Check(field.find('\0') == field.npos && field.find('\n') == field.npos);
  }
}

void CheckLoginLine(const Machine& machine) {
  const std::string& line = machine.login_line();
  const bool pass = absl::StartsWithIgnoreCase(line, "PASS ");
  Check(pass || absl::StartsWithIgnoreCase(line, "AUTH "));
  Check(pass != machine.user().empty());
  // With its CRLF it is a command again, and one only.
  Check(line.size() + 2 <= kCommandOctetsMax && line.find_first_of("\r\n") == line.npos);
  Check(absl::StrCat("USER ", machine.user()).size() + 2 <= kCommandOctetsMax);
}

void CheckStep(const Machine& machine, const Step& step, const Settings& settings) {
  Check(step.next == machine.state());
  Check(step.reply.empty() || absl::EndsWith(step.reply, "\r\n"));
  for (char c : step.reply) Check((c >= ' ' && c < 0x7f) || c == '\r' || c == '\n');
  Check((step.act == Act::kClose) == (step.next == State::kClosed));
  Check((step.next == State::kSasl) == absl::StartsWith(step.reply, "+ "));
  Check((step.next == State::kAwaitLogin) == (step.act == Act::kLogin || step.act == Act::kBackendLogin));
  Check(machine.input().octets == kCommandOctetsMax || step.next == State::kSasl);
  if (settings.backend_login) Check(step.next != State::kSasl && !absl::StrContains(step.reply, "["));
  if (step.act == Act::kLogin) CheckCredentials(machine);
  if (step.act == Act::kBackendLogin) CheckLoginLine(machine);
}

// Neither offered nor obeyed where a login is refused.
void CheckCapabilities(const std::string& reply, bool login_allowed, bool tls, const Settings& settings) {
  if (!absl::StartsWith(reply, "+OK capabilities")) return;
  Check(absl::EndsWith(reply, "\r\n.\r\n"));
  Check(absl::StrContains(reply, "\r\nUSER\r\n") == login_allowed);
  Check(absl::StrContains(reply, "\r\nSASL ") == login_allowed);
  Check(absl::StrContains(reply, "\r\nSTLS\r\n") == !tls);
  Check(absl::StrContains(reply, "\r\nPIPELINING\r\n") == !settings.backend_login);
}

void Run(LineStream input, const Settings& settings, LoginAnswer answer) {
  Machine machine(settings);
  CheckStep(machine, machine.OnConnect(), settings);
  bool tls = settings.implicit_tls;
  absl::string_view line;
  Ending ending;
  while (machine.state() != State::kClosed && input.TakeLine(machine.input().octets, &line, &ending)) {
    const bool login_allowed = tls || settings.allow_plaintext_login, answers = machine.state() == State::kSasl;
    const Step step = machine.OnLine(line, ending, !input.octets.empty());
    CheckStep(machine, step, settings);
    CheckCapabilities(step.reply, login_allowed, tls, settings);
    if (answers) {
      Check(step.act == Act::kNone || step.act == Act::kLogin || ending == Ending::kTooLong);
      Check(!absl::StartsWith(step.reply, "+OK"));
    }
    if (step.act == Act::kStartTls) {
      Check(!tls && input.octets.empty());
      tls = true;
      CheckStep(machine, machine.OnTls(), settings);
      Check(machine.user().empty());
    }
    if (step.act == Act::kBackendLogin) return Check(login_allowed && settings.backend_login);
    if (step.act != Act::kLogin) continue;
    Check(login_allowed && !settings.backend_login);
    CheckStep(machine, machine.OnLoginFailed(answer), settings);
    Check(machine.user().empty() && machine.password().empty());
    Check(machine.state() == State::kClosed || (machine.state() == State::kSecured) == tls);
  }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  if (size == 0) return 0;
  const uint8_t bits = data[0];
  const Settings settings = {.implicit_tls = (bits & 1) != 0,
                             .allow_plaintext_login = (bits & 2) != 0,
                             .backend_login = (bits & 4) != 0,
                             .capabilities = {"TOP", (bits & 4) != 0 ? "SASL PLAIN" : "UIDL"}};
  // The inputs kept begin with a letter, which is a rejected login that may be tried again.
  const LoginAnswer answer = (bits & 8) != 0    ? LoginAnswer::kRejectedLast
                             : (bits & 16) != 0 ? LoginAnswer::kPenalized
                                                : LoginAnswer::kRejected;
  Run({absl::string_view(reinterpret_cast<const char*>(data) + 1, size - 1)}, settings, answer);
  return 0;
}
