#include "protocolbroker/pop3/machine.h"

#include <algorithm>
#include <optional>
#include <utility>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/strings/str_split.h"
#include "protocolbroker/control.h"

namespace postern::protocolbroker::pop3 {
namespace {

// Commands of the TRANSACTION state (RFC 1939 §5, §7). "A server MUST respond to a command issued when the session is
// in an incorrect state by responding with a negative status indicator" (§3), NOOP included.
constexpr absl::string_view kAfterLogin[] = {"STAT", "LIST", "RETR", "DELE", "NOOP", "RSET", "TOP", "UIDL", "LAST"};

bool IsAfterLogin(absl::string_view verb) {
  for (absl::string_view known : kAfterLogin)
    if (absl::EqualsIgnoreCase(verb, known)) return true;
  return false;
}

bool Contains(const std::vector<std::string>& lines, absl::string_view line) {
  return std::find(lines.begin(), lines.end(), line) != lines.end();
}

bool IsSasl(absl::string_view capability) { return capability.substr(0, capability.find(' ')) == "SASL"; }

}  // namespace

Input Machine::input() const {
  return {Input::Kind::kLine, state_ == State::kSasl ? sasl::kAnswerOctetsMax : kCommandOctetsMax};
}

Step Machine::OnConnect() {
  return Become(settings_.implicit_tls ? State::kSecured : State::kPlain, Act::kNone, "+OK POP3 ready");
}

std::string Machine::Refusal(absl::string_view backend_line) const {
  if (absl::StartsWith(backend_line, "+OK")) return "";
  // Whatever else it is, it is not in the protocol's terms and might be taken for consent.
  if (!absl::StartsWith(backend_line, "-ERR")) return "-ERR the mail server is not available, try again later";
  return std::string(backend_line);
}

// "-ERR [CODE] text"; without the code where it would be taken for text (RFC 2449 §8).
std::string Machine::Coded(absl::string_view code, absl::string_view text) const {
  const bool announced = !settings_.backend_login || Contains(settings_.capabilities, "RESP-CODES");
  return absl::StrCat("-ERR ", announced ? absl::StrCat("[", code, "] ") : "", text);
}

Step Machine::OnLoginFailed(LoginAnswer answer) {
  Forget();
  // The codes are RFC 3206's; RESP-CODES and AUTH-RESP-CODE announce them.
  switch (answer) {
    case LoginAnswer::kRejected:
      return Become(before_login_, Act::kNone, Coded("AUTH", "user name or password is wrong"));
    case LoginAnswer::kRejectedLast:
      return Close(Coded("AUTH", "user name or password is wrong, too many attempts"), "attempts");
    case LoginAnswer::kPenalized:
      return Close(Coded("SYS/TEMP", "too many failed logins from your address, try again later"), "penalty");
    case LoginAnswer::kTemporary:
      break;
  }
  return Close(Coded("SYS/TEMP", "cannot log in now, try again later"), "temporary");
}

Step Machine::OnLine(absl::string_view line, Ending ending, bool more_buffered) {
  if (ending == Ending::kTooLong) return Close("-ERR line too long", "line_too_long");
  if (state_ == State::kSasl) {
    if (ending == Ending::kBareLf) return Become(before_login_, Act::kNone, "-ERR a line ends in CR LF");
    return OnSasl(sasl_.OnAnswer(line));
  }
  if (ending == Ending::kBareLf) return Stay("-ERR a line ends in CR LF, not in a bare LF");
  if (HasControl(line)) return Stay("-ERR control character in the line");

  const size_t space = line.find(' ');
  const absl::string_view verb = line.substr(0, space);
  const bool has_argument = space != absl::string_view::npos;
  // One space separates; what follows is the argument as it stands, spaces included (a password may hold them).
  const absl::string_view argument = has_argument ? line.substr(space + 1) : "";

  if (absl::EqualsIgnoreCase(verb, "CAPA") && !has_argument) return OnCapa();
  if (absl::EqualsIgnoreCase(verb, "STLS")) return OnStls(has_argument, more_buffered);
  if (absl::EqualsIgnoreCase(verb, "USER")) return OnUser(argument);
  if (absl::EqualsIgnoreCase(verb, "PASS")) return OnPass(argument, line);
  if (absl::EqualsIgnoreCase(verb, "AUTH")) return OnAuth(argument, line);
  if (absl::EqualsIgnoreCase(verb, "QUIT") && !has_argument) return Close("+OK bye", "quit");
  // The greeting had no timestamp.
  if (absl::EqualsIgnoreCase(verb, "APOP")) return Stay("-ERR no APOP here");
  if (IsAfterLogin(verb)) return Stay("-ERR log in first");
  return Stay("-ERR unknown command");
}

Step Machine::OnCapa() {
  std::string reply = "+OK capabilities follow\r\n";
  // Where a login would be refused it is not offered, so that no client sends a password to learn that.
  for (const std::string& capability : settings_.capabilities)
    if (LoginAllowed() || !IsSasl(capability)) absl::StrAppend(&reply, capability, "\r\n");
  if (!settings_.backend_login) {
    absl::StrAppend(&reply, "RESP-CODES\r\nAUTH-RESP-CODE\r\nPIPELINING\r\n");
    if (LoginAllowed()) absl::StrAppend(&reply, "SASL ", sasl::kMechanisms, "\r\n");
  }
  if (LoginAllowed()) absl::StrAppend(&reply, "USER\r\n");
  if (StartTlsOffered()) absl::StrAppend(&reply, "STLS\r\n");
  return Stay(absl::StrCat(reply, "."));
}

std::string Machine::BackendCapabilities() const {
  return absl::StrCat(absl::StrJoin(settings_.capabilities, "\r\n"), settings_.capabilities.empty() ? "" : "\r\n",
                      "USER\r\n.\r\n");
}

Step Machine::OnStls(bool has_argument, bool more_buffered) {
  if (!StartTlsOffered()) return Stay("-ERR TLS is already active");
  if (has_argument) return Stay("-ERR STLS takes no argument");
  // Octets behind STLS came in clear text. Obeyed after the handshake, they would let anyone on the path speak as the
  // client (the CVE-2011-0411 class), so the session ends here.
  if (more_buffered) return Close("-ERR octets behind STLS", "injection");
  return Become(State::kAwaitTls, Act::kStartTls, "+OK begin TLS");
}

Step Machine::OnUser(absl::string_view name) {
  if (!LoginAllowed()) return Stay("-ERR STLS first, no login in clear text");
  if (name.empty()) return Stay("-ERR USER needs a name");
  user_.assign(name.data(), name.size());
  return Stay("+OK");
}

Step Machine::OnPass(absl::string_view password, absl::string_view line) {
  if (!LoginAllowed()) return Stay("-ERR STLS first, no login in clear text");
  if (user_.empty()) return Stay("-ERR USER first");
  if (password.empty()) return Stay("-ERR PASS needs a password");
  if (settings_.backend_login) return LogInByBackend(line);
  return TryLogin(user_, password);
}

// RFC 5034 §4: AUTH mechanism [initial-response].
Step Machine::OnAuth(absl::string_view argument, absl::string_view line) {
  if (!LoginAllowed()) return Stay("-ERR STLS first, no login in clear text");
  if (settings_.backend_login) {
    if (absl::StripLeadingAsciiWhitespace(argument).empty()) return Stay("-ERR AUTH needs a mechanism");
    Forget();  // a USER before it has no meaning for it
    return LogInByBackend(line);
  }
  const std::pair<absl::string_view, absl::string_view> words = absl::StrSplit(argument, absl::MaxSplits(' ', 1));
  before_login_ = state_;
  std::optional<absl::string_view> initial;
  if (!words.second.empty()) initial = words.second;
  return OnSasl(sasl_.Start(words.first, initial));
}

Step Machine::OnSasl(sasl::Result result) {
  switch (result) {
    case sasl::Result::kChallenge:
      return Become(State::kSasl, Act::kNone, absl::StrCat("+ ", sasl_.challenge()));
    case sasl::Result::kMalformed:
    case sasl::Result::kFailed:
      return Become(before_login_, Act::kNone, absl::StrCat("-ERR ", sasl_.error()));
    case sasl::Result::kDone:
      break;
  }
  state_ = before_login_;
  return TryLogin(sasl_.user(), sasl_.password());
}

Step Machine::TryLogin(absl::string_view user, absl::string_view password) {
  if (const char* refusal = sasl::Refusal(user, password); refusal != nullptr)
    return Stay(absl::StrCat("-ERR ", refusal));
  return LogIn(user, password);
}

}  // namespace postern::protocolbroker::pop3
