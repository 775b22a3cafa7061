// Records of captured roles: whatever they hold, a record is one line of printable ASCII that begins with its stamp.
#include <cstddef>
#include <cstdint>
#include <cstdlib>

#include "absl/strings/match.h"
#include "logger/line.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const absl::string_view record(reinterpret_cast<const char*>(data), size);
  for (absl::string_view role : {absl::string_view("tlsworker"), postern::logger::kBackendSource}) {
    const std::string line = postern::logger::Line(role, 7, record);
    if (!absl::StartsWith(line, "role=") || line.find('\n') != line.size() - 1) abort();
    for (char c : absl::string_view(line).substr(0, line.size() - 1))
      if (c < ' ' || c >= 0x7f) abort();
  }
  return 0;
}
