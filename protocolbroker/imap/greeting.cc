#include "protocolbroker/imap/greeting.h"

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/strip.h"

namespace postern::protocolbroker::imap {

Greeting ReadGreeting(absl::string_view line, absl::string_view tag, std::string* reply) {
  absl::string_view rest = line;
  // With its response code, which may list the capabilities.
  if (absl::ConsumePrefix(&rest, "* PREAUTH ")) {
    *reply = absl::StrCat(tag, " OK ", rest);
    if (reply->size() > kReplyOctetsMax) *reply = absl::StrCat(tag, " OK logged in");
    return Greeting::kReady;
  }
  *reply = std::string(line);
  if (absl::StartsWith(line, "* OK ")) {
    // Cut, it could lack the end of a response code.
    if (line.size() > kReplyOctetsMax) *reply = "* OK more than can be told here";
    return Greeting::kMore;
  }
  if (!absl::StartsWith(line, "* BYE ")) *reply = "* BYE the mail server is not available, try again later";
  return Greeting::kRefused;
}

}  // namespace postern::protocolbroker::imap
