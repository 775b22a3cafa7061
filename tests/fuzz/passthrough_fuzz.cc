// A client and a backend that may say anything, through the rules of the relay between them: where a reply ends does
// not depend on the pieces in which it comes, and what the broker answers itself is whole lines.
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <string>

#include "absl/strings/match.h"
#include "absl/strings/string_view.h"
#include "protocolbroker/pop3/passthrough.h"

namespace {

using postern::protocolbroker::pop3::Passthrough;

void Check(bool condition) {
  if (!condition) abort();
}

// Octets up to `end`, which is taken off too.
absl::string_view Take(absl::string_view* input, char end) {
  const size_t at = input->find(end);
  const absl::string_view taken = input->substr(0, at);
  input->remove_prefix(at == absl::string_view::npos ? input->size() : at + 1);
  return taken;
}

}  // namespace

// Lines of the client end in LF; what follows each, up to a NUL, is the backend's reply.
extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  absl::string_view input(reinterpret_cast<const char*>(data), size);
  Passthrough whole("TOP\r\n.\r\n"), pieces("TOP\r\n.\r\n");
  while (!input.empty()) {
    const absl::string_view line = Take(&input, '\n'), reply = Take(&input, '\0');
    const std::string answer = whole.OnLine(line);
    Check(pieces.OnLine(line) == answer);
    Check(answer.empty() || absl::EndsWith(answer, "\r\n"));
    if (!answer.empty()) continue;
    const bool complete = whole.OnReply(reply);
    bool complete_in_pieces = false;
    for (char octet : reply) complete_in_pieces |= pieces.OnReply(absl::string_view(&octet, 1));
    // A backend that says more than its reply has said it all; a reply cut short is not complete in either.
    Check(!complete || complete_in_pieces);
    Check(whole.logged_in() == pieces.logged_in());
    Check(whole.line_octets_max() == pieces.line_octets_max());
  }
  return 0;
}
