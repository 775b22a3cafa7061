// What a client may send before it has logged in, through the rules of the line reader and the IMAP machine, literals
// given and dropped as the dialogue does it. Whatever it is: replies are whole lines under the tag of their command;
// what is inside a literal or answers a challenge is never obeyed; nothing logs in in clear text where that is refused,
// or with octets that shift a field; and what is kept of a client does not grow with what it announces.
#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/ascii.h"
#include "absl/strings/match.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "absl/strings/string_view.h"
#include "absl/strings/strip.h"
#include "protocolbroker/imap/machine.h"
#include "tests/fuzz/line_stream.h"

namespace {

using namespace postern::protocolbroker;  // NOLINT: a test
using postern::fuzz::Check;
using postern::fuzz::LineStream;
using postern::protocolbroker::imap::Machine;

// RFC 3501 §9: any ASTRING-CHAR except "+". "*" for what is none, as the machine answers it.
absl::string_view TagOf(absl::string_view line) {
  const absl::string_view tag = line.substr(0, line.find(' '));
  if (tag.empty() || tag.size() > imap::kTagOctetsMax) return "*";
  for (unsigned char c : tag)
    if (!absl::ascii_isgraph(c) || absl::StrContains("(){%*\"\\+", static_cast<char>(c))) return "*";
  return tag;
}

// "{n}" or "{n+}" at the end of a line without quotes, about which nobody can be of two minds.
struct Literal {
  bool there = false, synchronizing = false, countable = false;
  uint64_t octets = 0;
};
Literal LiteralOf(absl::string_view line) {
  Literal literal;
  const size_t brace = line.rfind('{');
  if (absl::StrContains(line, '"') || brace == absl::string_view::npos) return literal;
  absl::string_view digits = line.substr(brace + 1);
  if (!absl::ConsumeSuffix(&digits, "}")) return literal;
  literal.synchronizing = !absl::ConsumeSuffix(&digits, "+");
  literal.there = !digits.empty() && std::all_of(digits.begin(), digits.end(), absl::ascii_isdigit);
  literal.countable = literal.there && absl::SimpleAtoi(digits, &literal.octets);
  return literal;
}

class Session {
 public:
  Session(absl::string_view octets, const Settings& settings, LoginAnswer answer)
      : settings_(settings),
        answer_(answer),
        tls_(settings.implicit_tls),
        stream_{octets},
        machine_(settings),
        twin_(settings) {}

  void Run() {
    const Step step = machine_.OnConnect();
    Check(absl::StartsWith(step.reply, "* OK [CAPABILITY IMAP4rev1") && twin_.OnConnect().reply == step.reply);
    CheckStep(step);
    while (!over_ && machine_.state() != State::kClosed) {
      const Input input = machine_.input();
      if (!(input.kind == Input::Kind::kLine ? TakeLine(input) : TakeLiteral(input))) return;
    }
  }

 private:
  bool LoginAllowed() const { return tls_ || settings_.allow_plaintext_login; }

  bool TakeLine(const Input& input) {
    absl::string_view line;
    Ending ending;
    Check(input.octets > 2 && input.octets <= imap::kCommandOctetsMax);
    if (!stream_.TakeLine(input.octets, &line, &ending)) return false;
    const bool answers = machine_.state() == State::kSasl;
    if (!std::exchange(behind_literal_, false) && !answers) Begin(line);
    const bool more = !stream_.octets.empty();
    const Step step = machine_.OnLine(line, ending, more), twins = twin_.OnLine(line, ending, more);
    CheckTwin(step, twins);
    CheckStep(step);
    if (ending == Ending::kTooLong)
      Check(step.reply == "* BYE line too long\r\n");
    else if (answers)
      CheckAnswered(step);
    else
      CheckObeyed(line, step);
    if (ending == Ending::kBareLf) CheckRefused(step);
    Perform(line, step, twins);
    return true;
  }

  void Begin(absl::string_view line) {
    tag_ = std::string(TagOf(line));
    dropped_ = kept_ = 0;
  }

  bool TakeLiteral(const Input& input) {
    const bool dropped = input.kind == Input::Kind::kDropped;
    size_t& sum = dropped ? dropped_ : kept_;
    Check(input.octets <= (dropped ? imap::kDroppedOctetsMax : imap::kLiteralOctetsMax));
    sum += input.octets;  // of one command
    Check(sum <= (dropped ? imap::kDroppedOctetsMax : imap::kCommandOctetsMax));
    absl::string_view octets;
    if (!stream_.TakeOctets(input.octets, &octets)) return false;
    if (dropped) octets = "";
    const Step step = machine_.OnLiteral(octets);
    twin_.OnLiteral(std::string(octets.size(), 'x'));
    Check(step.act == Act::kNone && step.reply.empty());
    Check(machine_.input().kind == Input::Kind::kLine);  // the rest of the command
    behind_literal_ = true;
    return true;
  }

  // The twin hears the same lines, but an x for each octet of a literal. Nothing depends on these but whether
  // credentials are worth trying.
  void CheckTwin(const Step& step, const Step& twins) {
    if (step.act == twins.act && step.reply == twins.reply) return;
    Check(kept_ > 0);
    for (const Step* each : {&step, &twins})
      Check(each->act == Act::kLogin || absl::StartsWith(each->reply, absl::StrCat(tag_, " NO ")));
  }

  void CheckStep(const Step& step) {
    Check(step.next == machine_.state());
    Check(step.reply.empty() || absl::EndsWith(step.reply, "\r\n"));
    Check((step.act == Act::kClose) == (step.next == State::kClosed));
    Check((step.act == Act::kClose) == (*step.why != '\0'));
    Check((step.next == State::kAwaitLogin) == (step.act == Act::kLogin || step.act == Act::kBackendLogin));
    Check((step.next == State::kAwaitTls) == (step.act == Act::kStartTls));
    std::vector<absl::string_view> lines = absl::StrSplit(step.reply, "\r\n");
    lines.pop_back();
    for (absl::string_view line : lines) CheckReplyLine(line);
    if (step.next == State::kSasl) Check(lines.size() == 1 && absl::StartsWith(lines[0], "+ "));
  }

  void CheckReplyLine(absl::string_view line) {
    for (unsigned char c : line) Check(absl::ascii_isprint(c));
    const bool bad = absl::StartsWith(line, absl::StrCat(tag_, " BAD "));
    bads_ += bad ? 1 : 0;
    Check(bads_ <= imap::kBadCommandsMax);
    Check(bad || absl::StartsWith(line, "* ") || absl::StartsWith(line, "+ ") || IsTagged(line));
    const bool greeting = absl::ConsumePrefix(&line, "* OK [CAPABILITY ");
    if (greeting || absl::ConsumePrefix(&line, "* CAPABILITY ")) CheckCapabilities(line.substr(0, line.find(']')));
  }
  bool IsTagged(absl::string_view line) const {
    return absl::StartsWith(line, absl::StrCat(tag_, " OK ")) || absl::StartsWith(line, absl::StrCat(tag_, " NO ")) ||
           absl::StartsWith(line, absl::StrCat(tag_, " BAD "));
  }

  // Neither offered nor obeyed where a login is refused.
  void CheckCapabilities(absl::string_view list) {
    const std::vector<absl::string_view> words = absl::StrSplit(list, ' ');
    const auto has = [&](absl::string_view word) { return std::find(words.begin(), words.end(), word) != words.end(); };
    Check(words[0] == "IMAP4rev1");
    Check(has("STARTTLS") == !tls_);
    Check(has("LOGINDISABLED") == !LoginAllowed());
    Check(has("AUTH=PLAIN") == (LoginAllowed() && !settings_.backend_login));
  }

  // What ends in a bare LF is not a line for everybody, so it is no command here.
  void CheckRefused(const Step& step) {
    Check(step.act == Act::kNone || step.act == Act::kClose);
    Check(step.reply.empty() || (IsTagged(step.reply) && !absl::StartsWith(step.reply, absl::StrCat(tag_, " OK"))));
  }

  // An answer to a challenge is obeyed as nothing else.
  void CheckAnswered(const Step& step) {
    Check(step.act == Act::kNone || step.act == Act::kLogin || absl::StrContains(step.reply, " BYE too many bad"));
    Check(step.act == Act::kLogin || absl::StartsWith(step.reply, "+ ") || IsTagged(step.reply));
    Check(!absl::StartsWith(step.reply, absl::StrCat(tag_, " OK")));
  }

  // A line that announces a literal is followed by so many octets of it, unless the client waits for a "+" in vain or
  // is sent away; any other one has its one tagged answer, which is the last of its lines.
  void CheckObeyed(absl::string_view line, const Step& step) {
    const Input next = machine_.input();
    const bool more = next.kind != Input::Kind::kLine, over = step.act == Act::kClose;
    const Literal literal = LiteralOf(line);
    if (literal.there && !literal.synchronizing) Check(more || over || step.act == Act::kBackendLogin);
    if (more && literal.there) Check(literal.countable && next.octets == literal.octets);
    if (more)
      return Check(step.act == Act::kNone &&
                   (step.reply == (literal.synchronizing ? "+ go on\r\n" : "") || absl::StrContains(line, '"')));
    if (step.next == State::kSasl || step.next == State::kAwaitLogin || over) return;
    const std::vector<absl::string_view> lines = absl::StrSplit(step.reply, "\r\n");
    Check(IsTagged(lines[lines.size() - 2]));
    Check(lines.size() == 2 || !IsTagged(lines[0]));
  }

  void Perform(absl::string_view line, const Step& step, const Step& twins) {
    switch (step.act) {
      case Act::kStartTls:
        StartTls(step);
        break;
      case Act::kBackendLogin:
        CheckLoginLine(line);
        over_ = true;
        break;
      case Act::kLogin:
        CheckCredentials();
        CheckStep(machine_.OnLoginFailed(answer_));
        Check(machine_.user().empty() && machine_.password().empty() && machine_.state() != State::kAwaitLogin);
        Check(machine_.state() == State::kClosed || (machine_.state() == State::kSecured) == tls_);
        break;
      case Act::kNone:
      case Act::kClose:
        break;
    }
    if (twins.act == Act::kLogin) twin_.OnLoginFailed(answer_);
    if (machine_.state() != twin_.state()) over_ = true;  // only one of them has had an attempt, the last
    Check(over_ || machine_.input().octets == twin_.input().octets);
  }

  void StartTls(const Step& step) {
    Check(!tls_ && stream_.octets.empty());
    Check(step.reply == absl::StrCat(tag_, " OK begin TLS\r\n"));
    tls_ = true;
    Check(machine_.OnTls().reply.empty() && twin_.OnTls().reply.empty());
    Check(machine_.user().empty() && machine_.state() == State::kSecured);
    // What the client says inside. Octets behind STARTTLS are refused, so a fuzzer would never come here.
    stream_.octets = "a LOGIN {4+}\r\nuser {8+}\r\npassword\r\n";
  }

  void CheckCredentials() {
    Check(LoginAllowed() && !settings_.backend_login);
    Check(machine_.login_tag() == tag_ && tag_ != "*");
    Check(machine_.user().size() + machine_.password().size() <= sasl::kCredentialsOctetsMax);
    for (const std::string& field : {machine_.user(), machine_.password()}) {
      Check(!field.empty());
      for (unsigned char c : field) Check(!absl::ascii_iscntrl(c));
    }
  }

  void CheckLoginLine(absl::string_view line) {
    Check(LoginAllowed() && settings_.backend_login);
    Check(machine_.login_line() == line && line.find_first_of(absl::string_view("\r\n\0", 3)) == line.npos);
    Check(line.size() + 2 <= imap::kCommandOctetsMax);
    Check(absl::ConsumePrefix(&line, absl::StrCat(tag_, " ")));
    Check(absl::StartsWithIgnoreCase(line, "LOGIN") || absl::StartsWithIgnoreCase(line, "AUTHENTICATE"));
  }

  const Settings& settings_;
  const LoginAnswer answer_;
  bool tls_, over_ = false;
  LineStream stream_;
  Machine machine_, twin_;
  std::string tag_ = "*";  // of the command under way
  bool behind_literal_ = false;
  size_t dropped_ = 0, kept_ = 0;  // octets of literals of the command under way
  int bads_ = 0;
};

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  if (size == 0) return 0;
  const uint8_t bits = data[0];
  Settings settings = {.implicit_tls = (bits & 1) != 0,
                       .allow_plaintext_login = (bits & 2) != 0,
                       .backend_login = (bits & 4) != 0,
                       .capabilities = {}};
  if ((bits & 32) != 0) settings.capabilities = {"IMAP4rev1", "UIDPLUS", "LITERAL+"};
  const LoginAnswer answer = (bits & 8) != 0    ? LoginAnswer::kRejectedLast
                             : (bits & 16) != 0 ? LoginAnswer::kPenalized
                                                : LoginAnswer::kRejected;
  Session({reinterpret_cast<const char*>(data) + 1, size - 1}, settings, answer).Run();
  return 0;
}
