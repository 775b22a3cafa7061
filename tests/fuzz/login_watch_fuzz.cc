// What a client and a backend say around a login, in the pieces that the relay happens to read: when the login is over
// does not depend on these.
#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <string>

#include "absl/strings/ascii.h"
#include "absl/strings/match.h"
#include "absl/strings/string_view.h"
#include "protocolbroker/imap/login_watch.h"

namespace {

using postern::protocolbroker::imap::LoginWatch;

void Check(bool condition) {
  if (!condition) abort();
}

void Tell(LoginWatch& watch, bool client, absl::string_view octets, size_t piece) {
  while (!octets.empty()) {
    const absl::string_view part = octets.substr(0, piece);
    octets.remove_prefix(part.size());
    client ? watch.OnClient(part) : watch.OnBackend(part);
  }
}

}  // namespace

// The first octet says how long the pieces are. Then the client and the backend take turns, up to a NUL each.
extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  if (size == 0) return 0;
  const size_t piece = 1 + data[0] % 8;
  absl::string_view input(reinterpret_cast<const char*>(data) + 1, size - 1);
  LoginWatch whole, pieces;
  std::string said;  // by the client
  for (bool client = true; !input.empty(); client = !client) {
    const absl::string_view octets = input.substr(0, input.find('\0'));
    input.remove_prefix(std::min(input.size(), octets.size() + 1));
    Tell(whole, client, octets, octets.size());
    Tell(pieces, client, octets, piece);
    if (client) said += absl::AsciiStrToUpper(octets);
    Check(whole.logged_in() == pieces.logged_in());
    // The backend alone cannot say that it is over.
    Check(!whole.logged_in() || absl::StrContains(said, " LOGIN") || absl::StrContains(said, " AUTHENTICATE"));
  }
  return 0;
}
