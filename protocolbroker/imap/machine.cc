#include "protocolbroker/imap/machine.h"

#include <algorithm>
#include <optional>
#include <utility>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/strings/str_split.h"
#include "protocolbroker/control.h"

namespace postern::protocolbroker::imap {
namespace {

constexpr char kNoPrivacy[] = "NO [PRIVACYREQUIRED] STARTTLS first, no login in clear text";

// Commands of the other states: RFC 3501 §6.3 and §6.4, and extensions that clients use often.
constexpr absl::string_view kAfterLogin[] = {
    "APPEND", "CHECK",  "CLOSE",  "COPY",      "CREATE",   "DELETE",       "ENABLE",  "EXAMINE", "EXPUNGE",
    "FETCH",  "GETACL", "IDLE",   "GETQUOTA",  "LIST",     "GETQUOTAROOT", "LSUB",    "MOVE",    "NAMESPACE",
    "RENAME", "SEARCH", "SELECT", "SUBSCRIBE", "MYRIGHTS", "SORT",         "STATUS",  "STORE",   "THREAD",
    "UID",    "NOTIFY", "SETACL", "METADATA",  "COMPRESS", "UNSUBSCRIBE",  "UNSELECT"};

bool Is(absl::string_view verb, absl::string_view name) { return absl::EqualsIgnoreCase(verb, name); }

bool IsAfterLogin(absl::string_view verb) {
  return std::any_of(std::begin(kAfterLogin), std::end(kAfterLogin),
                     [&](absl::string_view known) { return Is(verb, known); });
}

}  // namespace

Step Machine::OnConnect() {
  state_ = settings_.implicit_tls ? State::kSecured : State::kPlain;
  return Stay(absl::StrCat("* OK [CAPABILITY ", Capabilities(), "] IMAP ready"));
}

void Machine::Forget() {
  protocolbroker::Machine::Forget();
  command_.Clear();
}

Input Machine::input() const {
  return state_ == State::kSasl ? Input{Input::Kind::kLine, sasl::kAnswerOctetsMax} : input_;
}

std::string Machine::Refusal(absl::string_view backend_line) const {
  if (absl::StartsWith(backend_line, "* OK ")) return "";
  // PREAUTH least of all: nobody has logged in.
  if (!absl::StartsWith(backend_line, "* BYE ")) return "* BYE the mail server is not available, try again later";
  return std::string(backend_line);
}

Step Machine::OnLoginFailed(LoginAnswer answer) {
  Forget();
  state_ = before_login_;
  switch (answer) {
    case LoginAnswer::kRejected:
      return No("[AUTHENTICATIONFAILED] user name or password is wrong");
    case LoginAnswer::kRejectedLast:
      return Close(absl::StrCat(tag_, " NO [AUTHENTICATIONFAILED] user name or password is wrong\r\n",
                                "* BYE too many attempts"),
                   "attempts");
    case LoginAnswer::kPenalized:
      return Close(
          absl::StrCat(tag_, " NO [UNAVAILABLE] too many failed logins from your address\r\n", "* BYE try again later"),
          "penalty");
    case LoginAnswer::kTemporary:
      break;
  }
  return Close(absl::StrCat(tag_, " NO [UNAVAILABLE] cannot log in now\r\n* BYE try again later"), "temporary");
}

Step Machine::Ok(absl::string_view text) { return Stay(absl::StrCat(tag_, " OK ", text)); }
Step Machine::No(absl::string_view text) { return Stay(absl::StrCat(tag_, " NO ", text)); }

Step Machine::Bad(absl::string_view text) {
  const std::string reply = absl::StrCat(tag_, " BAD ", text);
  if (++bad_commands_ < kBadCommandsMax) return Stay(reply);
  return Close(absl::StrCat(reply, "\r\n* BYE too many bad commands"), "bad_commands");
}

// To what Refuse() noted.
Step Machine::Respond(absl::string_view response) {
  const std::pair<absl::string_view, absl::string_view> parts = absl::StrSplit(response, absl::MaxSplits(' ', 1));
  return parts.first == "BAD" ? Bad(parts.second) : No(parts.second);
}

void Machine::Begin(absl::string_view line) {
  const absl::string_view tag = FindTag(line, kTagOctetsMax);
  tag_ = tag.empty() ? "*" : std::string(tag);
  command_.Clear();
  refusal_.clear();
  octets_ = dropped_ = 0;
}

void Machine::Refuse(absl::string_view response) {
  if (refusal_.empty()) refusal_ = std::string(response);
}

Step Machine::OnLine(absl::string_view line, Ending ending, bool more_buffered) {
  if (ending == Ending::kTooLong) return Close("* BYE line too long", "line_too_long");
  if (state_ == State::kSasl) {
    state_ = before_login_;
    return ending == Ending::kBareLf ? Bad("a line ends in CR LF, not in a bare LF") : OnSasl(sasl_.OnAnswer(line));
  }
  const bool first = !std::exchange(more_follows_, false);
  input_ = {Input::Kind::kLine, kCommandOctetsMax};
  if (first) Begin(line);
  // Refused, but still a line: what it announces is not read as commands.
  if (ending == Ending::kBareLf) Refuse("BAD a line ends in CR LF, not in a bare LF");
  if (tag_ == "*") Refuse("BAD a command begins with a tag");
  if (HasControl(line)) Refuse("BAD control character in the line");
  octets_ += line.size() + 2;

  absl::string_view text = line;
  if (first && tag_ != "*") text.remove_prefix(std::min(text.size(), tag_.size() + 1));
  const std::optional<Announcement> announcement = FindAnnouncement(text);
  if (announcement.has_value()) text.remove_suffix(announcement->announce_octets);
  if (refusal_.empty()) command_.AddText(text);
  const bool is_login = Is(command_.verb(), "LOGIN") || Is(command_.verb(), "AUTHENTICATE");
  if (is_login && !LoginAllowed()) Refuse(kNoPrivacy);
  // The backend asks for the literals itself.
  if (is_login && settings_.backend_login && refusal_.empty()) return LogInByBackend(line);
  return announcement.has_value() ? Announced(*announcement) : Obey(more_buffered);
}

void Machine::RefuseLiteral(const Announcement& announcement) {
  const absl::string_view verb = command_.verb();
  if (!Is(verb, "LOGIN") && !Is(verb, "ID"))
    Refuse(IsAfterLogin(verb) ? "BAD log in first" : "BAD no literal is expected here");
  if (announcement.octets > kLiteralOctetsMax || octets_ + announcement.octets + 2 >= kCommandOctetsMax)
    Refuse("BAD the literal is too long");
}

Step Machine::Announced(const Announcement& announcement) {
  RefuseLiteral(announcement);
  const bool refused = !refusal_.empty();
  if (refused && announcement.synchronizing) return Obey(false);  // the client has not sent it, and will not
  if (refused && announcement.octets > kDroppedOctetsMax - dropped_)
    return Close(absl::StrCat(tag_, " ", refusal_, "\r\n* BYE more than can be dropped"), "literal_too_long");
  // A refused command of many lines.
  if (octets_ + 2 >= kCommandOctetsMax) return Close("* BYE line too long", "line_too_long");
  more_follows_ = true;
  (refused ? dropped_ : octets_) += announcement.octets;
  input_ = {refused ? Input::Kind::kDropped : Input::Kind::kLiteral, announcement.octets};
  return Stay(announcement.synchronizing ? "+ go on" : "");
}

Step Machine::OnLiteral(absl::string_view octets) {
  if (input_.kind == Input::Kind::kLiteral) command_.AddLiteral(octets);
  input_ = {Input::Kind::kLine, kCommandOctetsMax - octets_};
  return Stay("");
}

Step Machine::Obey(bool more_buffered) {
  Step step = {state_, Act::kNone, ""};
  Arguments arguments(command_);
  absl::string_view verb;
  const bool has_verb = refusal_.empty() && arguments.Atom(&verb);
  const bool alone = arguments.AtEnd();
  if (!refusal_.empty())
    step = Respond(refusal_);
  else if (!has_verb)
    step = Bad("a tag, a blank and a command are expected");
  else if (Is(verb, "LOGIN"))
    step = OnLogin(arguments);
  else if (Is(verb, "AUTHENTICATE"))
    step = OnAuthenticate(arguments);
  else if (Is(verb, "ID"))
    step = OnId(arguments);
  else if (IsAfterLogin(verb))
    step = Bad("log in first");
  else if (Is(verb, "STARTTLS") && !StartTlsOffered())
    step = Bad("TLS is already active");
  else if (!Is(verb, "CAPABILITY") && !Is(verb, "NOOP") && !Is(verb, "LOGOUT") && !Is(verb, "STARTTLS"))
    step = Bad("unknown command");
  else if (!alone)
    step = Bad("the command takes no argument");
  else if (Is(verb, "STARTTLS"))
    step = OnStartTls(more_buffered);
  else if (Is(verb, "LOGOUT"))
    step = OnLogout();
  else if (Is(verb, "CAPABILITY"))
    step = OnCapability();
  else
    step = Ok("NOOP completed");
  command_.Clear();
  return step;
}

std::string Machine::Capabilities() const {
  std::string list = settings_.capabilities.empty() ? "IMAP4rev1" : absl::StrJoin(settings_.capabilities, " ");
  if (StartTlsOffered()) absl::StrAppend(&list, " STARTTLS");
  if (!LoginAllowed()) {
    absl::StrAppend(&list, " LOGINDISABLED");
  } else if (!settings_.backend_login) {
    absl::StrAppend(&list, " SASL-IR");
    for (absl::string_view mechanism : absl::StrSplit(sasl::kMechanisms, ' '))
      absl::StrAppend(&list, " AUTH=", mechanism);
  }
  return list;
}

Step Machine::OnCapability() {
  return Stay(absl::StrCat("* CAPABILITY ", Capabilities(), "\r\n", tag_, " OK CAPABILITY completed"));
}

Step Machine::OnStartTls(bool more_buffered) {
  // Octets behind STARTTLS came in clear text. Obeyed after the handshake, they would let anyone on the path speak as
  // the client (the CVE-2011-0411 class), so the session ends here.
  if (more_buffered) return Close(absl::StrCat(tag_, " BAD octets behind STARTTLS"), "injection");
  return Become(State::kAwaitTls, Act::kStartTls, absl::StrCat(tag_, " OK begin TLS"));
}

Step Machine::OnLogout() { return Close(absl::StrCat("* BYE bye\r\n", tag_, " OK LOGOUT completed"), "logout"); }

// RFC 2971 §3.1. We say nothing of ourselves, and keep nothing of what the client says.
Step Machine::OnId(Arguments& arguments) {
  std::string field;
  bool good = arguments.Take(' ');
  if (good && arguments.Take('(')) {
    if (!arguments.Take(')')) {
      do {
        good = arguments.String(&field) && arguments.Take(' ') && arguments.NString();
      } while (good && arguments.Take(' '));
      good = good && arguments.Take(')');
    }
  } else {
    absl::string_view nil;
    good = good && arguments.Atom(&nil) && Is(nil, "NIL");
  }
  if (!good || !arguments.AtEnd()) return Bad("ID wants a list of strings in pairs, or NIL");
  return Stay(absl::StrCat("* ID NIL\r\n", tag_, " OK ID completed"));
}

Step Machine::OnLogin(Arguments& arguments) {
  std::string user, password;
  const bool good = arguments.Take(' ') && arguments.AString(&user) && arguments.Take(' ') &&
                    arguments.AString(&password) && arguments.AtEnd();
  Step step = good ? TryLogin(user, password) : Bad("LOGIN wants a user name and a password");
  sasl::Clear(user);
  sasl::Clear(password);
  return step;
}

// RFC 3501 §6.2.2, RFC 4959.
Step Machine::OnAuthenticate(Arguments& arguments) {
  absl::string_view mechanism, word;
  std::optional<absl::string_view> initial;
  bool good = arguments.Take(' ') && arguments.Atom(&mechanism);
  if (good && !arguments.AtEnd()) {
    good = arguments.Take(' ') && arguments.Word(&word) && arguments.AtEnd();
    initial = word;
  }
  if (!good) return Bad("AUTHENTICATE wants a mechanism and perhaps an initial response");
  before_login_ = state_;
  return OnSasl(sasl_.Start(mechanism, initial));
}

Step Machine::OnSasl(sasl::Result result) {
  switch (result) {
    case sasl::Result::kChallenge:
      return Become(State::kSasl, Act::kNone, absl::StrCat("+ ", sasl_.challenge()));
    case sasl::Result::kMalformed:
      return Bad(sasl_.error());
    case sasl::Result::kFailed:
      return No(sasl_.error());
    case sasl::Result::kDone:
      break;
  }
  return TryLogin(sasl_.user(), sasl_.password());
}

Step Machine::TryLogin(absl::string_view user, absl::string_view password) {
  if (const char* refusal = sasl::Refusal(user, password); refusal != nullptr) return No(refusal);
  return LogIn(user, password);
}

}  // namespace postern::protocolbroker::imap
