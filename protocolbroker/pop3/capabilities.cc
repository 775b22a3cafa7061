#include "protocolbroker/pop3/capabilities.h"

#include "absl/strings/match.h"

namespace postern::protocolbroker::pop3 {

Interview::Next CapaInterview::OnGreeting(absl::string_view line) {
  return absl::StartsWith(line, "+OK") ? Next::kMore : Next::kRefused;
}

Interview::Next CapaInterview::OnLine(absl::string_view line) {
  if (!listing_) {
    listing_ = absl::StartsWith(line, "+OK");
    return listing_ ? Next::kMore : Next::kRefused;
  }
  if (line == ".") return Next::kDone;
  if (Count() == Next::kRefused) return Next::kRefused;
  told_.emplace_back(line);
  return Next::kMore;
}

}  // namespace postern::protocolbroker::pop3
