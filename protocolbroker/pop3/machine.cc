#include "protocolbroker/pop3/machine.h"

#include <string.h>

#include "absl/strings/ascii.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"

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

// NUL would shift checkpassword's fields; CR and the other controls have no business in a line.
bool HasControl(absl::string_view line) {
  for (char c : line)
    if (absl::ascii_iscntrl(static_cast<unsigned char>(c))) return true;
  return false;
}

}  // namespace

Machine::~Machine() { Forget(); }

// A worker lives as long as one session, but a core or a bug should not find in it what is no longer needed.
void Machine::Forget() {
  explicit_bzero(user_.data(), user_.size());
  explicit_bzero(password_.data(), password_.size());
  user_.clear();
  password_.clear();
}

Step Machine::Stay(absl::string_view reply) { return Become(state_, Act::kNone, reply); }

Step Machine::Close(absl::string_view reply, const char* why) {
  Step step = Become(State::kClosed, Act::kClose, reply);
  step.why = why;
  return step;
}

Step Machine::Become(State next, Act act, absl::string_view reply) {
  state_ = next;
  return {next, act, reply.empty() ? "" : absl::StrCat(reply, "\r\n")};
}

Step Machine::OnConnect() {
  return Become(settings_.implicit_tls ? State::kSecured : State::kPlain, Act::kNone, "+OK POP3 ready");
}

Step Machine::OnTls() {
  Forget();
  return Become(State::kSecured, Act::kNone, "");
}

Step Machine::OnLoginFailed(LoginAnswer answer) {
  Forget();
  // The codes are RFC 3206's; RESP-CODES and AUTH-RESP-CODE announce them.
  switch (answer) {
    case LoginAnswer::kRejected:
      return Become(secured_before_login_ ? State::kSecured : State::kPlain, Act::kNone,
                    "-ERR [AUTH] user name or password is wrong");
    case LoginAnswer::kRejectedLast:
      return Close("-ERR [AUTH] user name or password is wrong, too many attempts", "attempts");
    case LoginAnswer::kTemporary:
      break;
  }
  return Close("-ERR [SYS/TEMP] cannot log in now, try again later", "temporary");
}

Step Machine::OnLine(absl::string_view line, Ending ending, bool more_buffered) {
  if (ending == Ending::kTooLong) return Close("-ERR line too long", "line_too_long");
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
  if (absl::EqualsIgnoreCase(verb, "PASS")) return OnPass(argument);
  if (absl::EqualsIgnoreCase(verb, "QUIT") && !has_argument) return Close("+OK bye", "quit");
  if (absl::EqualsIgnoreCase(verb, "APOP") || absl::EqualsIgnoreCase(verb, "AUTH"))
    return Stay(LoginAllowed() ? "-ERR only USER and PASS are served here" : "-ERR STLS first");
  if (IsAfterLogin(verb)) return Stay("-ERR log in first");
  return Stay("-ERR unknown command");
}

Step Machine::OnCapa() {
  std::string reply = "+OK capabilities follow\r\n";
  for (const std::string& capability : settings_.capabilities) absl::StrAppend(&reply, capability, "\r\n");
  absl::StrAppend(&reply, "RESP-CODES\r\nAUTH-RESP-CODE\r\nPIPELINING\r\n");
  // Where a login would be refused it is not offered, so that no client sends a password to learn that.
  if (LoginAllowed()) absl::StrAppend(&reply, "USER\r\n");
  if (state_ == State::kPlain) absl::StrAppend(&reply, "STLS\r\n");
  return Stay(absl::StrCat(reply, "."));
}

Step Machine::OnStls(bool has_argument, bool more_buffered) {
  if (state_ != State::kPlain) return Stay("-ERR TLS is already active");
  if (has_argument) return Stay("-ERR STLS takes no argument");
  // Octets behind STLS came in clear text. Obeyed after the handshake, they would let anyone on the path speak as the
  // client (the CVE-2011-0411 class), so the session ends here.
  if (more_buffered) return Close("-ERR octets behind STLS", "injection");
  return Become(State::kAwaitTls, Act::kStartTls, "+OK begin TLS");
}

Step Machine::OnUser(absl::string_view name) {
  if (!LoginAllowed()) return Stay("-ERR STLS first, no login in clear text");
  if (name.empty()) return Stay("-ERR USER needs a name");
  user_ = std::string(name);
  return Stay("+OK");
}

Step Machine::OnPass(absl::string_view password) {
  if (!LoginAllowed()) return Stay("-ERR STLS first, no login in clear text");
  if (user_.empty()) return Stay("-ERR USER first");
  if (password.empty()) return Stay("-ERR PASS needs a password");
  password_ = std::string(password);
  secured_before_login_ = state_ == State::kSecured;
  return Become(State::kAwaitLogin, Act::kLogin, "");
}

}  // namespace postern::protocolbroker::pop3
