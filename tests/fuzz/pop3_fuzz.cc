// What a client may send before it has logged in, through the line reader's rules and the POP3 machine: whatever it is,
// the machine answers in whole lines and never logs in in clear text, twice, or with octets that shift a field.
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <string>

#include "absl/strings/match.h"
#include "absl/strings/string_view.h"
#include "protocolbroker/pop3/machine.h"

namespace {

using postern::protocolbroker::Ending;
using namespace postern::protocolbroker::pop3;  // NOLINT: a test

void Check(bool condition) {
  if (!condition) abort();
}

void CheckStep(const Machine& machine, const Step& step) {
  Check(step.next == machine.state());
  Check(step.reply.empty() || absl::EndsWith(step.reply, "\r\n"));
  for (char c : step.reply) Check((c >= ' ' && c < 0x7f) || c == '\r' || c == '\n');
  Check((step.act == Act::kClose) == (step.next == State::kClosed));
  if (step.act != Act::kLogin) return;
  Check(machine.state() == State::kAwaitLogin && !machine.user().empty() && !machine.password().empty());
  for (const std::string& field : {machine.user(), machine.password()}) {
    Check(field.size() <= postern::protocolbroker::sasl::kCredentialsOctetsMax);
    Check(field.find('\0') == field.npos && field.find('\n') == field.npos);
  }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  if (size == 0) return 0;
  absl::string_view input(reinterpret_cast<const char*>(data), size);
  const bool implicit_tls = (input[0] & 1) != 0, allow = (input[0] & 2) != 0, backend = (input[0] & 4) != 0;
  input.remove_prefix(1);
  Machine machine({implicit_tls, allow, backend, {"TOP", "UIDL"}});
  CheckStep(machine, machine.OnConnect());
  bool tls = implicit_tls;
  while (!input.empty() && machine.state() != State::kClosed) {
    const size_t octets_max = machine.line_octets_max();
    const size_t lf = input.substr(0, octets_max).find('\n');
    if (lf == absl::string_view::npos && input.size() < octets_max) break;
    absl::string_view line = input.substr(0, lf == absl::string_view::npos ? octets_max : lf);
    input.remove_prefix(line.size() + (lf == absl::string_view::npos ? 0 : 1));
    Ending ending = lf == absl::string_view::npos ? Ending::kTooLong : Ending::kBareLf;
    if (ending == Ending::kBareLf && absl::EndsWith(line, "\r")) {
      line.remove_suffix(1);
      ending = Ending::kCrLf;
    }
    const Step step = machine.OnLine(line, ending, !input.empty());
    CheckStep(machine, step);
    if (step.act == Act::kStartTls) {
      Check(!tls && input.empty());
      tls = true;
      CheckStep(machine, machine.OnTls());
      Check(machine.user().empty());
    }
    if (step.act == Act::kBackendLogin) {
      Check((tls || allow) && backend && !machine.login_line().empty());
      return 0;
    }
    if (step.act == Act::kLogin) {
      Check(tls || allow);
      CheckStep(machine, machine.OnLoginFailed(LoginAnswer::kRejected));
      Check(machine.password().empty());
    }
  }
  return 0;
}
