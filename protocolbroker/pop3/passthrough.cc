#include "protocolbroker/pop3/passthrough.h"

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "protocolbroker/control.h"

namespace postern::protocolbroker::pop3 {
namespace {

constexpr size_t kCommandOctetsMax = 255;  // RFC 2449 §4
constexpr size_t kSaslOctetsMax = 12288;   // RFC 5034 §4
constexpr size_t kKeptOctetsMax = 8;       // of a line: "+OK", "." and their ends are told by less

// Commands whose +OK is followed by lines: RFC 1939 §5 and §7, RFC 2449 §5. LIST and UIDL only without an argument.
bool IsLong(absl::string_view verb, bool has_argument) {
  for (absl::string_view known : {"RETR", "TOP", "CAPA"})
    if (absl::EqualsIgnoreCase(verb, known)) return true;
  return !has_argument && (absl::EqualsIgnoreCase(verb, "LIST") || absl::EqualsIgnoreCase(verb, "UIDL"));
}

bool IsOk(absl::string_view line) { return absl::StartsWithIgnoreCase(line, "+OK"); }

}  // namespace

size_t Passthrough::line_octets_max() const { return sasl_ ? kSaslOctetsMax : kCommandOctetsMax; }

std::string Passthrough::OnLine(absl::string_view line) {
  if (!sasl_) {  // else the login goes on, whatever the line looks like
    // The machine's grammar: what backends make of blanks and controls differs, and with it where a reply ends.
    if (HasControl(line)) return "-ERR control character in the line\r\n";
    const size_t space = line.find(' ');
    const absl::string_view verb = line.substr(0, space);
    const bool has_argument = line.find_first_not_of(' ', verb.size()) != absl::string_view::npos;
    if (verb.empty()) return "-ERR unknown command\r\n";
    if (absl::EqualsIgnoreCase(verb, "CAPA") && !capabilities_.empty())
      return absl::StrCat("+OK capabilities follow\r\n", capabilities_);
    if (absl::EqualsIgnoreCase(verb, "STLS")) return "-ERR STLS comes before the login\r\n";
    const bool is_auth = absl::EqualsIgnoreCase(verb, "AUTH");
    if (is_auth && !has_argument) return "-ERR AUTH needs a mechanism\r\n";  // some would answer with +OK and a list
    logging_in_ = is_auth || absl::EqualsIgnoreCase(verb, "PASS");
    may_be_long_ = IsLong(verb, has_argument);
  }
  line_.clear();
  in_lines_ = false;
  awaiting_ = true;
  return "";
}

// Of a whole line of the reply. True: it was the last.
bool Passthrough::OnReplyLine() {
  if (in_lines_) return line_ == ".\r\n" || line_ == ".\n";
  sasl_ = logging_in_ && absl::StartsWith(line_, "+") && !IsOk(line_);
  if (logging_in_ && IsOk(line_)) logged_in_ = true;
  in_lines_ = may_be_long_ && IsOk(line_);
  return !in_lines_;
}

bool Passthrough::OnReply(absl::string_view octets) {
  for (char octet : octets) {
    if (!awaiting_) break;  // what a backend says unasked has no meaning here
    if (line_.size() < kKeptOctetsMax) line_ += octet;
    if (octet != '\n') continue;
    awaiting_ = !OnReplyLine();
    line_.clear();
  }
  return !awaiting_;
}

}  // namespace postern::protocolbroker::pop3
