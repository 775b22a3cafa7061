#include "protocolbroker/imap/capabilities.h"

#include "absl/strings/match.h"
#include "absl/strings/str_split.h"
#include "absl/strings/strip.h"

namespace postern::protocolbroker::imap {
namespace {

// "* OK" and "* okay" are two things.
bool ConsumeWord(absl::string_view* line, absl::string_view word) {
  if (!absl::StartsWithIgnoreCase(*line, word)) return false;
  if (line->size() > word.size() && (*line)[word.size()] != ' ') return false;
  line->remove_prefix(word.size());
  absl::ConsumePrefix(line, " ");
  return true;
}

}  // namespace

void CapabilityInterview::Take(absl::string_view list) { told_ = absl::StrSplit(list, ' ', absl::SkipEmpty()); }

void CapabilityInterview::TakeCode(absl::string_view line) {
  if (!absl::ConsumePrefix(&line, "[") || !ConsumeWord(&line, "CAPABILITY")) return;
  const size_t end = line.find(']');
  if (end != absl::string_view::npos) Take(line.substr(0, end));
}

Interview::Next CapabilityInterview::OnGreeting(absl::string_view line) {
  if (!ConsumeWord(&line, "*") || (!ConsumeWord(&line, "OK") && !ConsumeWord(&line, "PREAUTH"))) return Next::kRefused;
  TakeCode(line);
  return Next::kMore;
}

Interview::Next CapabilityInterview::OnLine(absl::string_view line) {
  if (Count() == Next::kRefused) return Next::kRefused;
  if (ConsumeWord(&line, "*")) {
    if (ConsumeWord(&line, "BYE")) return Next::kRefused;
    if (ConsumeWord(&line, "CAPABILITY"))
      Take(line);
    else if (told_.empty() && (ConsumeWord(&line, "OK") || ConsumeWord(&line, "PREAUTH")))
      TakeCode(line);
    return Next::kMore;
  }
  if (!ConsumeWord(&line, "p")) return Next::kMore;
  // Whatever it is: what the greeting told holds.
  return told_.empty() ? Next::kRefused : Next::kDone;
}

}  // namespace postern::protocolbroker::imap
