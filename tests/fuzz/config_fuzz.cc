// postern.toml is the administrator's, so this looks for crashes and for messages that would confuse a terminal.
#include <cstddef>
#include <cstdint>
#include <cstdlib>

#include "absl/strings/ascii.h"
#include "absl/strings/str_split.h"
#include "config/config.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const absl::string_view text(reinterpret_cast<const char*>(data), size);
  const auto config = postern::config::Parse("/p.toml", text);
  if (config.ok()) {
    if (config->services.empty()) abort();
    for (const auto& service : config->services)
      if (service.listeners.empty() || service.checkpassword.empty() || service.backend.empty()) abort();
    return 0;
  }
  for (absl::string_view line : absl::StrSplit(config.status().message(), '\n')) {
    if (line.substr(0, 8) != "/p.toml:") abort();
    for (char octet : line)
      if (!absl::ascii_isprint(static_cast<unsigned char>(octet))) abort();
  }
  return 0;
}
